const Thread = require('../models/thread');

const asyncHandler = (fn) => (req, res, next) => Promise.resolve(fn(req, res, next)).catch(next);

exports.list = asyncHandler(async (req, res) => {
  // h:threads.list
  res.json(await Thread.find());
});

exports.create = [
  require('../middleware/auth').can('thread:write'),
  asyncHandler(async (req, res) => {
    // h:threads.create
    res.status(201).json(await Thread.create(req.body));
  }),
];

exports.show = asyncHandler(async (req, res) => {
  // h:threads.show
  res.json(req.thread);
});

exports.remove = async function remove(req, res) {
  // h:threads.remove
  await req.thread.deleteOne();
  res.sendStatus(204);
};

exports.load = async (req, res, next, id) => {
  req.thread = await Thread.findById(id);
  next();
};
