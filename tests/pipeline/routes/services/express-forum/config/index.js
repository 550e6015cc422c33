module.exports = {
  port: process.env.PORT || 3000,
  api: { prefix: '/api', version: 'v1' },
};
