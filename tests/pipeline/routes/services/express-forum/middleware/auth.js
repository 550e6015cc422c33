function requireLogin(req, res, next) {
  if (!req.session || !req.session.user) return res.redirect('/login');
  next();
}

const can = (permission) => (req, res, next) => {
  if (!req.user.permissions.includes(permission)) return res.sendStatus(403);
  return next();
};

module.exports = { requireLogin, can };
