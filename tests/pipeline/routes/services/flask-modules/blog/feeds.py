from flask import Blueprint, Response

bp = Blueprint("feeds", __name__, url_prefix="/feeds")


class Feed:
    def __call__(self):
        return ""


def atom(tag=None):
    # h:feeds.atom
    return Response("")


bp.add_url_rule("/atom.xml", view_func=atom)
bp.add_url_rule("/<tag>.xml", view_func=atom, endpoint="tagged", methods={"GET"})
