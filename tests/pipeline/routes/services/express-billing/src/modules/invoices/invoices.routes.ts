import { Router } from 'express';
import { authenticate, authorize } from '../../middleware/auth.js';
import { validate } from '../../middleware/validate.js';
import * as controller from './invoices.controller.js';
import { createInvoiceSchema } from './invoices.schema.js';

export const invoicesRouter: Router = Router();

invoicesRouter.use(authenticate);

invoicesRouter.get('/', controller.listInvoices);
invoicesRouter.post('/', authorize('admin'), validate(createInvoiceSchema), controller.createInvoice);
invoicesRouter.get('/:invoiceId', controller.getInvoice);
invoicesRouter.get('/:invoiceId/pdf{/:variant}', controller.pdf);
invoicesRouter
  .route('/:invoiceId/lines/:lineId')
  .all(authorize('admin'))
  .put(validate(createInvoiceSchema), controller.putLine)
  .delete(controller.deleteLine);
