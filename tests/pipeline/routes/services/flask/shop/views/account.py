from flask import Blueprint

from ..constants import WRITE

blueprint = Blueprint("account", __name__, url_prefix="/replaced")


@blueprint.route("/")
def overview():
    # h:account.overview
    return ""


@blueprint.route("/address/<uuid:address>", methods=WRITE)
def address(address):
    # h:account.address
    return ""


@blueprint.route("/address/<uuid:address>")
def show_address(address):
    # h:account.show
    return ""


@blueprint.before_request
def check():
    return None
