const catchAsync = require('../utils/catchAsync');
const createUser = catchAsync(async (req, res) => {
  // h:createUser
  res.send({});
});
const getUsers = catchAsync(async (req, res) => {
  // h:getUsers
  res.send([]);
});
const getUser = catchAsync(async (req, res) => {
  // h:getUser
  res.send({});
});
const updateUser = catchAsync(async (req, res) => {
  // h:updateUser
  res.send({});
});
module.exports = {
  createUser,
  getUsers,
  getUser,
  updateUser,
};
