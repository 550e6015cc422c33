from flask import Flask

from .api import api_bp
from .constants import ACCOUNT_PREFIX, Urls
from .views import account, pages


def create_app(config=None):
    app = Flask(__name__, static_url_path="/public")
    app.register_blueprint(pages.bp)
    app.register_blueprint(account.blueprint, url_prefix=ACCOUNT_PREFIX)
    app.register_blueprint(api_bp, url_prefix="/api")
    register_errors(app)

    from shop import tools

    tools.init_app(app)
    app.add_url_rule(Urls.BASKET, view_func=tools.Basket.as_view("basket"))
    view = tools.Coupon.as_view("coupon")
    app.add_url_rule("/coupons/<code>", "coupon", view, methods=["GET"])
    return app


def register_errors(app):
    @app.errorhandler(404)
    def missing(error):
        return "missing", 404
