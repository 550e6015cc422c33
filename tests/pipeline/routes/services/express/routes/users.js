const router = require('express').Router({ mergeParams: true });
const users = require('../controllers/users');
const { wrap } = require('../middleware/auth');
const { removeUser: remove } = require('../controllers/users');

router.param('id', (req, res, next, id) => next());
router.get('/', users.list);
router.post('/', wrap(users.create));
router.get('/me', (req, res) => {
  // h:users.me
  res.json(req.user);
});
router
  .route('/:id(\\d+)')
  .get(users.find)
  .put((req, res) => {
    // h:users.update
    res.json({});
  })
  .delete(wrap(remove));
router.get('/:name', function byName(req, res) {
  // h:users.byName
  res.json({ name: req.params.name });
});
router.use('/:id/pets', require('./pets'));

module.exports = router;
