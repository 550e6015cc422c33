import { Router } from 'express';
import { invoices } from './invoices/index.js';
import customersRouter from './customers/customers.routes.js';
import * as plans from './plans/plans.routes.js';

const router = Router({ strict: false });

router.use('/invoices', invoices);
router.use('/customers', customersRouter);
router.use('/plans', plans.router);

export default router;
