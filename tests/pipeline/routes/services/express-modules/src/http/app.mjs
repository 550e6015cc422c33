import express from 'express';
import { usersModule, filesModule } from '../modules/index.mjs';
import * as paths from './paths.mjs';

const mount = (app, modules) => {
  for (const { prefix, build } of modules) {
    app.use(prefix, build());
  }
};

export default function makeApp({ env }) {
  const app = express();
  const api = express.Router({ strict: true });

  app.disable('x-powered-by');
  app.set('trust proxy', 1);
  app.get('/ready', ready);
  api.use('/users', usersModule());
  api.use([paths.files, '/attachments'], filesModule);
  app.use(paths.api('v2'), api);
  app.use(paths.BASE, api);
  app.get('/:page.html', (req, res) => {
    // h:page
    res.render(req.params.page);
  });
  app.get('*', (req, res) => {
    // h:fallback
    res.sendFile('index.html');
  });
  return app;
}

function ready(req, res) {
  // h:ready
  res.end('ok');
}
