import type { RequestHandler } from 'express';

export const authenticate: RequestHandler = (req, res, next) => {
  if (!req.headers.authorization) {
    res.sendStatus(401);
    return;
  }
  next();
};

export function authorize(role: string): RequestHandler {
  return (req, res, next) => (res.locals.role === role ? next() : res.sendStatus(403));
}
