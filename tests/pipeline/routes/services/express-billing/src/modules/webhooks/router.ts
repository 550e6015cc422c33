import { Router, raw } from 'express';

export const webhookRouter = Router();

webhookRouter.post('/:provider', raw({ type: '*/*' }), (req, res) => {
  // h:webhook
  res.sendStatus(200);
});
