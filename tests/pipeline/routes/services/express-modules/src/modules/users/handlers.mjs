export class UserHandlers {
  list(req, res) {
    // h:users.list
    res.json([]);
  }

  create = async (req, res) => {
    // h:users.create
    res.json({});
  };

  avatar(req, res, next) {
    // h:users.avatar
    res.end();
  }

  byHash(req, res) {
    // h:users.byHash
    res.end();
  }
}
