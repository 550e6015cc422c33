import type { Express, Request, Response } from 'express';

const receive = async (req: Request, res: Response): Promise<void> => {
  // h:hooks.receive
  res.end();
};

export function registerHooks(app: Express, secret: string): void {
  app.post('/hooks/:source', receive);
}
