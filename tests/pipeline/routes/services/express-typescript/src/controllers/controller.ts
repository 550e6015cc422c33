import type { Router } from 'express';

export interface Controller {
  router: Router;
}
