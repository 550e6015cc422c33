import { injectable } from 'tsyringe';
import type { Request, Response } from 'express';

@injectable()
export class CustomersController {
  public search = async (req: Request, res: Response) => {
    // h:customers.search
    res.json([]);
  };

  public one = async (req: Request, res: Response) => {
    // h:customers.one
    res.json({ id: req.params.id });
  };

  public create = async (req: Request, res: Response) => {
    // h:customers.create
    res.status(201).json(req.body);
  };
}
