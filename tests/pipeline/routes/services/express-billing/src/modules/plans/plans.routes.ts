import express from 'express';

export const router = express.Router();

const handlers = {
  all: (_req: express.Request, res: express.Response) => {
    // h:plans.all
    res.json([]);
  },
  current(req: express.Request, res: express.Response) {
    // h:plans.current
    res.json({});
  },
};

router.get('/', handlers.all);
router.get('/current', handlers.current);
router.post('/:plan/subscribe', [express.urlencoded(), async (req: express.Request, res: express.Response) => {
  // h:plans.subscribe
  res.redirect('/done');
}]);
