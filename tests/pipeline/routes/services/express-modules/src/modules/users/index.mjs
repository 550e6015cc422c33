import { Router } from 'express';
import validate from '../../http/validate.mjs';
import { UserHandlers } from './handlers.mjs';

export default () => {
  const router = Router();
  const handlers = new UserHandlers();

  router
    .get('/', validate({ q: 'string' }), (req, res) => handlers.list(req, res))
    .post('/', validate({ name: 'string' }), handlers.create);
  router.all('/:id/avatar', handlers.avatar.bind(handlers));
  router.get('/:id([0-9a-f]{8})', handlers.byHash);
  return router;
};
