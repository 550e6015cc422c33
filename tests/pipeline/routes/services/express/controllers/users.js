const list = async (req, res) => {
  // h:users.list
  res.json([]);
};

async function create(req, res) {
  // h:users.create
  res.status(201).json(req.body);
}

module.exports = {
  list,
  create,
  find(req, res) {
    // h:users.find
    res.json({ id: req.params.id });
  },
  removeUser: (req, res) => {
    // h:users.remove
    res.status(204).end();
  },
};
