import type { RequestHandler } from 'express';
import type { ZodSchema } from 'zod';

export const validate = (schema: ZodSchema): RequestHandler => (req, _res, next) => {
  req.body = schema.parse(req.body);
  next();
};

export const catchErrors = <T extends RequestHandler>(fn: T): RequestHandler => async (req, res, next) => {
  try {
    await fn(req, res, next);
  } catch (error) {
    next(error);
  }
};
