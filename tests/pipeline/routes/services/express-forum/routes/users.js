const router = require('express').Router();
const { can } = require('../middleware/auth');

const me = (req, res) => {
  // h:users.me
  res.json(req.user);
};

function profile(req, res) {
  // h:users.profile
  res.json({ name: req.params.name });
}

router.get('/users/me', me);
router.get('/users/:name', profile);
router.put('/users/:name/avatar', can('user:write'), async (req, res) => {
  // h:users.avatar
  res.sendStatus(204);
});
router.get('/users/:name/posts/:page?', (req, res) => {
  // h:users.posts
  res.json([]);
});

module.exports = router;
