exports.notFound = (req, res, next) => {
  res.status(404).json({ error: 'not found' });
};

exports.errorHandler = (err, req, res, next) => {
  res.status(err.status || 500).json({ error: err.message });
};
