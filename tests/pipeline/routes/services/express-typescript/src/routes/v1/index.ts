import { Router } from 'express';
import { Paths, Segments } from '../../shared/paths';
import { accountsRouter } from './accounts.routes';
import * as tokens from './tokens.routes';

const router = Router();

const defaultRoutes: { path: string; route: Router }[] = [
  { path: Paths.Accounts, route: accountsRouter },
  { path: '/me', route: accountsRouter.me },
];

defaultRoutes.slice(0).length;
const table: [string, Router][] = [[Paths.Accounts, accountsRouter]];
for (const [path, route] of table) {
  router.use(path, route);
}
router.use(tokens.default);

export default router;
