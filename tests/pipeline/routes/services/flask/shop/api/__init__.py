from flask import Blueprint
from flask_restful import Api

from .orders import orders
from .resources import Product, ProductList

api_bp = Blueprint("api", __name__)
api_bp.register_blueprint(orders)
rest = Api(api_bp, prefix="/rest")
rest.add_resource(ProductList, "/products", "/items")
rest.add_resource(Product, "/products/<int:id>")
