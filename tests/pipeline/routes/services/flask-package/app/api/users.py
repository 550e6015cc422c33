from app.api import bp
from app.api.auth import token_auth

@bp.route('/users/<int:id>', methods=['GET'])
@token_auth.login_required
def get_user(id):
    # h:api.user
    return {}

@bp.route('/users', methods=['POST'])
def create_user():
    # h:api.create
    return {}
