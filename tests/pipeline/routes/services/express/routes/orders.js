const express = require('express');

module.exports = ({ db }) => {
  const router = express.Router();

  router.get('/:from-:to', (req, res) => {
    // h:orders.range
    res.json(db);
  });
  router.get('/:id', [check, async (req, res) => {
    // h:orders.find
    res.json(db);
  }]);
  router.patch('/:id/state', (req, res) => {
    // h:orders.state
    res.json(db);
  });
  return router;
};

function check(req, res, next) {
  next();
}
