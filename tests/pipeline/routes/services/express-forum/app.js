'use strict';

const path = require('path');
const express = require('express');
const helmet = require('helmet');
const morgan = require('morgan');
const { api } = require('./config');
const { notFound, errorHandler } = require('./middleware/errors');
const { requireLogin } = require('./middleware/auth');

const app = express();

app.set('trust proxy', 1);
app.use(helmet());
app.use(morgan('combined'));
app.use(express.json());
app.use('/static', express.static(path.join(__dirname, 'public')));

app.get('/', require('./controllers/pages').home);
app.get(['/about', '/imprint'], require('./controllers/pages').about);
app.all('/ping', (req, res) => {
  // h:ping
  res.send('pong');
});

app.use(`${api.prefix}/${api.version}`, require('./routes'));
app.use('/admin', requireLogin, require('./routes/admin')({ audit: true }));
app.use('/:lang(en|de|fr)', require('./routes/localised'));

app.use(notFound);
app.use(errorHandler);

module.exports = app;
