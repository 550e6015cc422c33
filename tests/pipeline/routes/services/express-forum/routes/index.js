const { Router } = require('express');
const threads = require('./threads');
const users = require('./users');

const router = Router();

router.use('/threads', threads);
router.use(users);

router.get('/files/*', (req, res) => {
  // h:files
  res.sendFile(req.params[0]);
});

router.get(/^\/tags\/([a-z-]+)\.rss$/, function (req, res) {
  // h:tagFeed
  res.type('rss').send('');
});

module.exports = router;
