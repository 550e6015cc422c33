import flask

import blog.posts as posts
from blog import feeds

BLUEPRINTS = (
    (posts.site, "/blog"),
    (feeds.bp, None),
)


def make():
    flask_app = flask.Flask("blog", static_folder=None)
    for blueprint, prefix in BLUEPRINTS:
        flask_app.register_blueprint(blueprint, url_prefix=prefix)

    @flask_app.get("/up")
    def up():
        # h:up
        return ""

    return flask_app
