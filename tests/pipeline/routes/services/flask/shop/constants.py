ROOT = "/my"
ACCOUNT_PREFIX = f"{ROOT}/account"
WRITE = ["POST", "PUT"]


class Urls:
    BASKET = "/basket"
    TERMS = "/terms" + "-of-use"
