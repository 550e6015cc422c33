const router = require('express').Router();

router.get('/', (req, res) => {
  // h:keys.list
  res.json([]);
});
router.delete('/:key', (req, res) => {
  // h:keys.delete
  res.end();
});
module.exports = router;
