import { Router } from 'express';
import { container } from '../../container.js';
import { CustomersController } from './customers.controller.js';

const controller = container.resolve(CustomersController);
const ROUTES = {
  ROOT: '/',
  ONE: '/:id',
  SEARCH: '/search',
} as const;

export default Router()
  .get(ROUTES.SEARCH, controller.search)
  .get(ROUTES.ONE, controller.one)
  .post(ROUTES.ROOT, controller.create);
