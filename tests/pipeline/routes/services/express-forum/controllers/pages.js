module.exports = {
  home(req, res) {
    // h:home
    res.render('home');
  },
  about: async (req, res) => {
    // h:about
    res.render('about');
  },
};
