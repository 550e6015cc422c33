const express = require('express');
const helmet = require('helmet');
const cors = require('cors');
const routes = require('./routes/v1');
const config = require('./config/config');
const { authLimiter } = require('./middlewares/rateLimiter');

const app = express();
app.use(helmet());
app.options('*', cors());
if (config.env === 'production') {
  app.use('/v1/auth', authLimiter);
}
app.use('/v1', routes);
app.use((req, res, next) => {
  next(new Error('Not found'));
});
module.exports = app;
