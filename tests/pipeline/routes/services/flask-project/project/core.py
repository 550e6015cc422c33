from flask import Blueprint
core = Blueprint("core", __name__)
@core.route("/")
def home():
    return "h:home"
@core.app_errorhandler(404)
def missing(e):
    return "x"
@core.route("/about/")
def about():
    return "h:about"
