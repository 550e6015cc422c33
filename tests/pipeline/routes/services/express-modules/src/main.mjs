import http from 'node:http';
import makeApp from './http/app.mjs';

http.createServer(makeApp({ env: process.env })).listen(8081);
