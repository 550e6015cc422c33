import flask

orders = flask.Blueprint("orders", __name__, url_prefix="/orders")


@orders.route("", methods=["GET"])
def list_orders():
    # h:orders.list
    return []


@orders.post("")
def create_order():
    # h:orders.create
    return {}


@orders.route("/<order_id>", methods=["GET", "DELETE"])
def order(order_id):
    # h:orders.one
    return {}


@orders.route("/<order_id>", methods=["OPTIONS"])
def order_options(order_id):
    # h:orders.options
    return ""
