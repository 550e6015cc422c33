from app.auth import bp

@bp.route('/login', methods=['GET', 'POST'])
def login():
    # h:login
    return ''

@bp.route('/reset_password/<token>', methods=['GET', 'POST'])
def reset(token):
    # h:reset
    return ''
