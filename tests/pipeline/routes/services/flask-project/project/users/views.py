from flask import Blueprint, render_template
users_blueprint = Blueprint("users", __name__, template_folder="templates")
@users_blueprint.route("/register", methods=["GET", "POST"])
def register():
    return "h:register"
@users_blueprint.route("/<int:user_id>/edit", methods=["POST"])
def edit(user_id):
    return "h:edit"
