const catchAsync = require('../utils/catchAsync');
const register = catchAsync(async (req, res) => {
  // h:register
  res.status(201).send({});
});
const logout = catchAsync(async (req, res) => {
  // h:logout
  res.status(204).send();
});
module.exports = { register, logout };
