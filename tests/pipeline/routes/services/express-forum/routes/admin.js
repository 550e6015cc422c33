const express = require('express');

module.exports = (options) => {
  const router = express.Router();
  if (options.audit) {
    router.get('/audit', (req, res) => {
      // h:admin.audit
      res.json([]);
    });
  }
  router.post('/ban/:user', ban);
  return router;
};

async function ban(req, res) {
  // h:admin.ban
  res.sendStatus(202);
}
