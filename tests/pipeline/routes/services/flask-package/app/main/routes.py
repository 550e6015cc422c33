from flask import render_template, request, current_app
from app.main import bp
from app import models

@bp.before_app_request
def before(): pass

@bp.route('/', methods=['GET', 'POST'])
@bp.route('/index', methods=['GET', 'POST'])
@login_required
def index():
    # h:index
    return render_template('index.html')

@bp.route('/user/<username>')
@login_required
def user(username):
    # h:user
    return ''

@bp.route('/user/<username>/popup')
def popup(username):
    # h:popup
    return ''

@bp.route('/translate', methods=['POST'])
def translate():
    # h:translate
    return {}
