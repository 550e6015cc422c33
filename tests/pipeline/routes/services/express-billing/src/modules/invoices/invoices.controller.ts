import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { catchErrors } from '../../middleware/validate.js';
import { service } from './invoices.service.js';

export const listInvoices: RequestHandler = async (req, res) => {
  // h:invoices.list
  res.json(await service.list());
};

export const createInvoice = catchErrors(async (req: Request, res: Response) => {
  // h:invoices.create
  res.status(201).json(await service.create(req.body));
});

export async function getInvoice(req: Request, res: Response, next: NextFunction) {
  // h:invoices.get
  try {
    res.json(await service.get(req.params.invoiceId));
  } catch (error) {
    next(error);
  }
}

export const pdf = catchErrors(async (req: Request<{ invoiceId: string; variant?: string }>, res: Response) => {
  // h:invoices.pdf
  res.type('pdf').send(await service.render(req.params.invoiceId));
});

const putLine: RequestHandler = (req, res) => {
  // h:invoices.putLine
  res.sendStatus(204);
};

function deleteLine(req: Request, res: Response) {
  // h:invoices.deleteLine
  res.sendStatus(204);
}

export { putLine, deleteLine };
