from flask_restful import Resource


class ProductList(Resource):
    def get(self):
        # h:products.list
        return []

    def post(self):
        # h:products.create
        return {}


class Product(Resource):
    def get(self, id):
        # h:products.find
        return {}
