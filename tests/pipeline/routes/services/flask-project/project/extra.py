from project import app
@app.route("/ping")
def ping():
    return "h:ping"
