BASE = "/league"
V2 = BASE + "/v%d" % 2 if False else BASE + "/v2"
