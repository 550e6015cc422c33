import { Router, Request, Response } from 'express';
import type { Controller } from './controller';

export class ReportController implements Controller {
  public path = '/reports';
  public router = Router();

  constructor() {
    this.initializeRoutes();
  }

  private initializeRoutes(): void {
    this.router.get(this.path, this.all);
    this.router.get(`${this.path}/:id`, this.one);
  }

  private all = (req: Request, res: Response): void => {
    // h:reports.all
    res.json([]);
  };

  private one = (req: Request, res: Response): void => {
    // h:reports.one
    res.json({});
  };
}
