const express = require('express');
const path = require('path');
const { API_ROOT, paths } = require('./config');
const config = require('./config');
const usersRouter = require('./routes/users');
const { requireAuth } = require('./middleware/auth');
const legacy = require('./routes/legacy');

const app = express();
app.use(express.json());
app.use('/static', express.static(path.join(__dirname, 'public')));
app.use(express.static('public'));
app.all('*', (req, res, next) => { req.at = Date.now(); next(); });

app.get('/', (req, res) => {
  // h:home
  res.send('home');
});
app.use(`${API_ROOT}/users`, requireAuth, usersRouter);
app.use(API_ROOT + paths.orders, require('./routes/orders')({ db: null }));
app.use('/admin', require('./routes/admin'));
legacy(app);

app.route(config.paths.search)
  .get((req, res) => {
    // h:search.get
    res.json([]);
  })
  .post(requireAuth, async (req, res) => {
    // h:search.post
    res.json([]);
  });

app.get(['/about', '/about-us'], (req, res) => res.send('h:about'));
app.get(/^\/v(\d+)\/status$/, (req, res) => {
  // h:status
  res.json({ up: true });
});
app.get('/download/*', (req, res) => {
  // h:download
  res.sendFile(req.params[0]);
});
app.options('/cors', (req, res) => {
  // h:cors
  res.end();
});
app.use((req, res) => res.status(404).end());
app.use((error, req, res, next) => res.status(500).send(String(error)));

module.exports = app;
