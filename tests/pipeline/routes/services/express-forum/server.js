'use strict';

const http = require('http');
const app = require('./app');
const config = require('./config');

http.createServer(app).listen(config.port, () => console.log('listening on %d', config.port));
