const express = require('express');
const c = require('../controllers/threads');
const PostController = require('../controllers/PostController');
const store = require('../models/store');

const router = express.Router();
const posts = express.Router({ mergeParams: true });
const controller = new PostController(store);

router.param('id', c.load);

router.route('/')
  .get(c.list)
  .post(c.create);

router
  .route('/:id')
  .get(c.show)
  .delete(c.remove);

posts.get('/', controller.index);
posts.patch('/:postId(\\d+)', controller.edit);
posts.get('/:postId(\\d+)/votes', PostController.votes);

router.use('/:threadId/posts', posts);

module.exports = router;
