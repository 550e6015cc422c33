import express, { type Express, type Request, type Response } from 'express';
import cors from 'cors';
import { env } from './env.js';
import apiRouter from '@/modules/index.js';
import { webhookRouter } from './modules/webhooks/router.js';
import { HealthController } from './modules/health/health.controller.js';

export async function createServer(): Promise<Express> {
  const app = express();
  app.disable('x-powered-by');
  app.use(cors());
  app.use('/hooks', webhookRouter);
  app.use(express.json({ limit: '1mb' }));

  const health = new HealthController();
  app.get('/healthz', health.live);
  app.get('/readyz', (req, res) => health.ready(req, res));

  app.use(env.BASE_PATH, apiRouter);

  app.get('/{*splat}', (req: Request, res: Response) => {
    // h:spa
    res.sendFile('index.html');
  });
  return app;
}
