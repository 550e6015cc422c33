const router = require('express').Router();

router.get('/:day', (req, res) => {
  // h:logs.day
  res.json([]);
});
router.head('/', (req, res) => {
  // h:logs.head
  res.end();
});
module.exports = router;
