const BASE = '/legacy';

module.exports = function (server) {
  server.get(BASE + '/report.php', (req, res) => {
    // h:legacy.report
    res.send('');
  });
  server.all(`${BASE}/rpc`, (req, res) => {
    // h:legacy.rpc
    res.send('');
  });
};
