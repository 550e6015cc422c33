import { Router } from 'express';
import { body } from 'express-validator';
export class ProductRouter {
  router: Router;
  constructor() {
    this.router = Router();
    this.init();
  }
  public list(req, res) { res.json('h:products'); }
  init() {
    this.router.get('/', this.list);
    this.router.post('/', body('name').notEmpty(), (req, res) => { res.json('h:product.add'); });
  }
}
