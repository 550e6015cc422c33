from functools import wraps

from flask import Blueprint, redirect

from ..constants import Urls

bp = Blueprint("pages", __name__)


def cached(function):
    @wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@bp.route("/")
@bp.route("/index.html")
@cached
def home():
    # h:home
    return "home"


@bp.get(Urls.TERMS)
def terms():
    # h:terms
    return "terms"


@bp.route("/<slug>")
def page(slug):
    # h:page
    return slug


@bp.route("/docs/", strict_slashes=False)
def docs():
    # h:docs
    return "docs"


@bp.route("/docs/<path:name>")
def doc(name):
    # h:doc
    return name


@bp.route("/<any(en, de):language>/news")
def news(language):
    # h:news
    return language


@bp.route("/v<int:version>/changes")
def changes(version):
    # h:changes
    return str(version)
