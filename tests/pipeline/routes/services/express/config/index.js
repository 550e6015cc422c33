const API_ROOT = process.env.API_ROOT || '/api';

module.exports = { API_ROOT, port: 3000, paths: { orders: '/orders', search: `${API_ROOT}/search` } };
