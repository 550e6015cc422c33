import express, { Application, Request, Response } from 'express';
import v1 from './routes/v1';
import { Paths } from '@/shared/paths';
import { registerHooks as hooks } from './routes/hooks.js';
import type { Controller } from './controllers/controller';

export class App {
  public readonly app: Application = express();

  constructor(private readonly controllers: Controller[]) {
    this.app.use(express.json());
    this.app.get('/healthz', (_req: Request, res: Response) => {
      // h:healthz
      res.sendStatus(200);
    });
    this.app.use(Paths.Root, v1);
    hooks(this.app, 'secret');
    this.addControllers();
  }

  private addControllers(): void {
    for (const controller of this.controllers) {
      this.app.use('/', controller.router);
    }
  }

  listen(port: number): void {
    this.app.listen(port);
  }
}
