import { Router } from 'express';
import type { NextFunction, Request, Response } from 'express';
import AccountController from '../../controllers/account.controller';
import { asyncHandler } from '../../shared/async';

export const accountsRouter: Router = Router();
const controller = new AccountController();

accountsRouter.get('/', asyncHandler(controller.list.bind(controller)));
accountsRouter.get('/:id', controller.find);
accountsRouter.get('/:id/statements{/:year}', (req: Request, res: Response) => {
  // h:accounts.statements
  res.json([]);
});
accountsRouter.post('/', async (req: Request, res: Response, next: NextFunction) => {
  // h:accounts.create
  try {
    res.status(201).json(req.body);
  } catch (error) {
    next(error);
  }
});
accountsRouter.get('/export/*splat', (req, res) => {
  // h:accounts.export
  res.end();
});
