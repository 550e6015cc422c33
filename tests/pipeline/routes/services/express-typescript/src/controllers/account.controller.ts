import type { Request, Response } from 'express';

export default class AccountController {
  public async list(req: Request, res: Response): Promise<void> {
    // h:accounts.list
    res.json([]);
  }

  public find = async (req: Request, res: Response): Promise<void> => {
    // h:accounts.find
    res.json({ id: req.params.id });
  };
}
