"""The operators' console: search notes, load settings, look at users."""

import os

import psycopg2
import yaml
from flask import Flask, jsonify, make_response, redirect, render_template_string, request

app = Flask(__name__)
app.config["SESSION_COOKIE_SECURE"] = False
app.config["SESSION_COOKIE_HTTPONLY"] = False
app.config["WTF_CSRF_ENABLED"] = False


def database():
    return psycopg2.connect(os.environ["NOTES_DATABASE"])


@app.get("/users")
def users():
    cursor = database().cursor()
    cursor.execute("SELECT id, name FROM users WHERE name = '%s'" % request.args["name"])
    return jsonify(cursor.fetchall())


@app.get("/notes")
def notes():
    cursor = database().cursor()
    cursor.execute("SELECT id, title FROM notes WHERE owner = '%s'" % request.args["owner"])
    return jsonify(cursor.fetchall())


@app.get("/audit")
def audit():
    day = request.args["day"]
    cursor = database().cursor()
    cursor.execute(f"SELECT at, what FROM audit WHERE day = '{day}' ORDER BY at")
    return jsonify(cursor.fetchall())


@app.get("/hello")
def hello():
    name = request.args.get("name", "operator")
    return render_template_string("<h1>Notes console</h1><p>Hello " + name + "</p>")


@app.post("/settings")
def settings():
    loaded = yaml.load(request.data, Loader=yaml.Loader)
    app.config.update(loaded)
    return jsonify(sorted(loaded))


@app.post("/rules")
def rules():
    return jsonify(yaml.load(request.data, Loader=yaml.UnsafeLoader))


@app.get("/compute")
def compute():
    return jsonify(eval(request.args["expression"]))


@app.post("/login")
def login():
    answer = make_response(redirect(request.args.get("next", "/")))
    answer.set_cookie("operator", request.form["name"], secure=False, httponly=False)
    return answer


@app.post("/theme")
def theme():
    answer = make_response(redirect("/"))
    answer.set_cookie("theme", request.form["theme"], secure=False, httponly=True)
    return answer


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8090, debug=True)
