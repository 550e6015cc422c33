from flask import Blueprint

site = Blueprint("site", __name__)
comments = Blueprint("comments", __name__, url_prefix="/<int:post>/comments")
site.register_blueprint(comments)


@site.route("/", defaults={"page": 1})
@site.route("/page/<int:page>")
def index(page):
    # h:posts.index
    return str(page)


@site.route("/<int:post>/", methods=["GET", "POST"])
def show(post):
    # h:posts.show
    return str(post)


@site.route("/<string:slug>")
def by_slug(slug):
    # h:posts.slug
    return slug


@comments.route("/")
def list_comments(post):
    # h:comments.list
    return ""


@comments.delete("/<int:comment>")
def delete_comment(post, comment):
    # h:comments.delete
    return ""
