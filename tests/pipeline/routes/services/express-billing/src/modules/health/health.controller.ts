import type { Request, Response } from 'express';

export class HealthController {
  live = (_req: Request, res: Response): void => {
    // h:health.live
    res.json({ ok: true });
  };

  ready(_req: Request, res: Response): void {
    // h:health.ready
    res.json({ ok: true });
  }
}
