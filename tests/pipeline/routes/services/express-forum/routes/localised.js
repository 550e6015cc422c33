const express = require('express');
const router = (module.exports = express.Router());

router.get('/help/:topic', (req, res) => {
  // h:help
  res.render('help/' + req.params.topic);
});
