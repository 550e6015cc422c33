class PostController {
  constructor(store) {
    this.store = store;
    this.edit = this.edit.bind(this);
  }

  index = async (req, res) => {
    // h:posts.index
    res.json(await this.store.all(req.params.threadId));
  };

  async edit(req, res) {
    // h:posts.edit
    res.json(await this.store.update(req.params.postId, req.body));
  }

  static async votes(req, res) {
    // h:posts.votes
    res.json([]);
  }
}

module.exports = PostController;
