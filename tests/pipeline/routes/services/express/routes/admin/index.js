const express = require('express');
const router = express.Router();
const sections = [
  { path: '/logs', router: require('./logs') },
  { path: '/keys', router: require('./keys') },
];

sections.forEach(({ path, router: section }) => {
  router.use(path, section);
});
router.get('/', (req, res) => res.send('h:admin.home'));

module.exports = router;
