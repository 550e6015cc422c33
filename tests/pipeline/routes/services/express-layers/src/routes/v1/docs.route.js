const express = require('express');
const swaggerUi = require('swagger-ui-express');
const router = express.Router();
router.use('/', swaggerUi.serve);
router.get('/', swaggerUi.setup({ explorer: true })); // h:docs
module.exports = router;
