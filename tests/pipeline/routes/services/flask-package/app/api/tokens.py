from app.api import bp
@bp.route('/tokens', methods=['DELETE'])
def revoke():
    # h:api.revoke
    return '', 204
