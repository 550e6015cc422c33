from flask.views import MethodView, View


def ping():
    # h:ping
    return "pong"


def init_app(application):
    application.add_url_rule("/ping", "ping", ping)

    @application.route("/calc/<int:a>/<int:b>", methods=("GET", "POST"))
    def calc(a, b):
        # h:calc
        return str(a + b)


class Basket(MethodView):
    init_every_request = False

    def get(self):
        # h:basket.get
        return "basket"

    def post(self):
        # h:basket.post
        return "added"


class Coupon(View):
    def dispatch_request(self, code):
        # h:coupon
        return code
