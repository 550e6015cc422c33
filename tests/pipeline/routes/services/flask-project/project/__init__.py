from flask import Flask
from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy()
app = Flask(__name__)
app.config["X"] = 1
from project.users.views import users_blueprint
from project.core import core as core_bp
app.register_blueprint(users_blueprint, url_prefix="/users")
app.register_blueprint(core_bp)
from project import extra
