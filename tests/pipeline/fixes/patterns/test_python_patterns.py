"""Python: what becomes of weak code, and what stays as it is."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

SETTINGS = [
    # (rule, before, after); both are whole files
    (
        "B501",
        "import requests\nrequests.get(url, verify=False, timeout=3)\n",
        "import requests\nrequests.get(url, timeout=3)\n",
    ),
    (
        "python.requests.security.disabled-cert-validation.disabled-cert-validation",
        "import httpx\nclient = httpx.Client(\n    verify=False,\n)\n",
        "import httpx\nclient = httpx.Client()\n",
    ),
    (
        "py/request-without-cert-validation",
        "import requests\ns = requests.Session()\ns.verify = False\n",
        "import requests\ns = requests.Session()\ns.verify = True\n",
    ),
    (
        "B323",
        "import ssl\ncontext = ssl._create_unverified_context()\n",
        "import ssl\ncontext = ssl.create_default_context()\n",
    ),
    (
        "python.lang.security.unverified-ssl-context.unverified-ssl-context",
        "import ssl\nssl._create_default_https_context = ssl._create_unverified_context\n",
        "import ssl\nssl._create_default_https_context = ssl.create_default_context\n",
    ),
    (
        "insecure-ssl-verify-mode",
        "import ssl\ncontext.verify_mode = ssl.CERT_NONE\n",
        "import ssl\ncontext.verify_mode = ssl.CERT_REQUIRED\n",
    ),
    (
        "weak-ssl-version",
        "import ssl\ncontext.minimum_version = ssl.TLSVersion.TLSv1\n",
        "import ssl\ncontext.minimum_version = ssl.TLSVersion.TLSv1_2\n",
    ),
    (
        "B506",
        "import yaml as y\nsettings = y.load(stream, Loader=y.Loader)\n",
        "import yaml as y\nsettings = y.safe_load(stream)\n",
    ),
    (
        "py/unsafe-deserialization",
        "import yaml\na = yaml.load(stream)\n",
        "import yaml\na = yaml.safe_load(stream)\n",
    ),
    (
        "avoid-pyyaml-load",
        "import yaml\na = yaml.unsafe_load(stream)\n",
        "import yaml\na = yaml.safe_load(stream)\n",
    ),
    (
        "py/flask-debug",
        "from flask import Flask\napp = Flask(__name__)\napp.run('::1', debug=True)\n",
        "from flask import Flask\napp = Flask(__name__)\napp.run('::1', debug=False)\n",
    ),
    (
        "B701",
        "import jinja2\nenv = jinja2.Environment(\n    loader=loader,\n    trim_blocks=True,\n)\n",
        (
            "import jinja2\nenv = jinja2.Environment(\n    loader=loader,\n    trim_blocks=True,\n"
            "    autoescape=jinja2.select_autoescape(),\n)\n"
        ),
    ),
    (
        "incorrect-autoescape-disabled",
        "from jinja2 import Environment\nenv = Environment(loader=x, autoescape=False)\n",
        (
            "from jinja2 import Environment, select_autoescape\n"
            "env = Environment(loader=x, autoescape=select_autoescape())\n"
        ),
    ),
    (
        "secure-set-cookie",
        "def login(response):\n    response.set_cookie('sid', sid, httponly=False)\n",
        (
            "def login(response):\n"
            "    response.set_cookie('sid', sid, httponly=True, secure=True, samesite='Lax')\n"
        ),
    ),
    (
        "flask-cookie-settings",
        "app.config['SESSION_COOKIE_SECURE'] = False\n",
        "app.config['SESSION_COOKIE_SECURE'] = True\n",
    ),
    (
        "django-cookie-settings",
        "SESSION_COOKIE_HTTPONLY = False\nLANGUAGE = 'en'\n",
        "SESSION_COOKIE_HTTPONLY = True\nLANGUAGE = 'en'\n",
    ),
    (
        "jwt-decode-without-verify",
        "import jwt\njwt.decode(t, key, algorithms=['HS256'], options={'verify_signature': False})\n",
        "import jwt\njwt.decode(t, key, algorithms=['HS256'], options={'verify_signature': True})\n",
    ),
    (
        "B113",
        "import requests\nrequests.post(url, json=body)\n",
        "import requests\nrequests.post(url, json=body, timeout=10)\n",
    ),
    (
        "wildcard-cors",
        (
            "from fastapi.middleware.cors import CORSMiddleware\n\n"
            'app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)\n'
        ),
        (
            "import os\nfrom fastapi.middleware.cors import CORSMiddleware\n\n"
            'app.add_middleware(CORSMiddleware, allow_origins=os.environ["CORS_ORIGINS"].split(","), '
            "allow_credentials=True)\n"
        ),
    ),
]

CALLS = [
    (
        "B324",
        "import hashlib\ndigest = hashlib.md5(data).hexdigest()\n",
        "import hashlib\ndigest = hashlib.sha256(data).hexdigest()\n",
    ),
    (
        "B324",
        "import hashlib\ncache_key = hashlib.sha1(data).hexdigest()\n",
        "import hashlib\ncache_key = hashlib.sha1(data, usedforsecurity=False).hexdigest()\n",
    ),
    (
        "py/weak-sensitive-data-hashing",
        "import hashlib\nh = hashlib.new('SHA1', data)\n",
        "import hashlib\nh = hashlib.new('sha256', data)\n",
    ),
    (
        "B311",
        (
            '"""Tokens."""\n\nimport os\nimport random\n\n\ndef reset_token():\n'
            "    return ''.join(random.choice(LETTERS) for _ in range(32))\n"
        ),
        (
            '"""Tokens."""\n\nimport os\nimport secrets\n\n\ndef reset_token():\n'
            "    return ''.join(secrets.choice(LETTERS) for _ in range(32))\n"
        ),
    ),
    (
        "py/insecure-randomness",
        (
            "from __future__ import annotations\n\nimport random\n\notp = random.randint(1000, 9999)\n"
            "random.shuffle(cards)\n"
        ),
        (
            "from __future__ import annotations\n\nimport random\nimport secrets\n\n"
            "otp = secrets.SystemRandom().randint(1000, 9999)\nrandom.shuffle(cards)\n"
        ),
    ),
    (
        "py/timing-attack-against-hash",
        (
            "import hmac\n\ndef verify(given, body):\n"
            "    made = hmac.new(KEY, body, 'sha256').hexdigest()\n    return given == made\n"
        ),
        (
            "import hmac\n\ndef verify(given, body):\n"
            "    made = hmac.new(KEY, body, 'sha256').hexdigest()\n"
            "    return hmac.compare_digest(given, made)\n"
        ),
    ),
    (
        "B306",
        (
            "import os\nimport tempfile\n\ndef f():\n    path = tempfile.mktemp(suffix='.x')\n"
            "    return os.stat(path)\n"
        ),
        (
            "import os\nimport tempfile\n\ndef f():\n"
            "    descriptor, path = tempfile.mkstemp(suffix='.x')\n    os.close(descriptor)\n"
            "    return os.stat(path)\n"
        ),
    ),
    (
        "eval-detected",
        "config = eval(config_text)\n",
        "import ast\n\nconfig = ast.literal_eval(config_text)\n",
    ),
    (
        "B202",
        "import tarfile\n\nwith tarfile.open(path) as archive:\n    archive.extractall(folder)\n",
        (
            "import tarfile\n\nwith tarfile.open(path) as archive:\n"
            '    archive.extractall(folder, filter="data")\n'
        ),
    ),
    (
        "B704",
        "from markupsafe import Markup\nhtml = Markup(f'<b>{user.name}</b>')\n",
        "from markupsafe import Markup\nhtml = Markup('<b>{}</b>').format(user.name)\n",
    ),
    (
        "B314",
        "import xml.etree.ElementTree as ET\n\ntree = ET.parse(path)\n",
        "import defusedxml.ElementTree as ET\n\ntree = ET.parse(path)\n",
    ),
    ("B103", "import os\nos.chmod(path, 0o777)\n", "import os\nos.chmod(path, 0o700)\n"),
    (
        "B105",
        "import sys\n\nAPI_KEY = 'k3yk3yk3y'\nprint(sys.argv)\n",
        "import os\nimport sys\n\nAPI_KEY = os.environ['API_KEY']\nprint(sys.argv)\n",
    ),
    (
        "render-template-string",
        (
            "from flask import render_template_string\n\ndef hello(name):\n"
            "    return render_template_string(f'<h1>{name}</h1>')\n"
        ),
        (
            "from flask import render_template_string\n\ndef hello(name):\n"
            "    return render_template_string('<h1>{{ name }}</h1>', name=name)\n"
        ),
    ),
    (
        "py/path-injection",
        (
            "import os\nfrom flask import abort\n\n@app.get('/<name>')\ndef read(name):\n"
            "    path = os.path.join(BASE, name)\n    return open(path).read()\n"
        ),
        (
            "import os\nfrom flask import abort\n\n@app.get('/<name>')\ndef read(name):\n"
            "    path = os.path.realpath(os.path.join(BASE, name))\n"
            "    if not path.startswith(os.path.realpath(BASE) + os.sep):\n        abort(404)\n"
            "    return open(path).read()\n"
        ),
    ),
    (
        "py/path-injection",
        (
            "import os\nfrom flask import Flask, send_file\n\n@app.get('/<name>')\ndef read(name):\n"
            "    return send_file(os.path.join(BASE, name))\n"
        ),
        (
            "from flask import Flask, send_from_directory\n\n@app.get('/<name>')\n"
            "def read(name):\n    return send_from_directory(BASE, name)\n"
        ),
    ),
]

UNTOUCHED = [
    ("B501", "import requests\nrequests.get(url, verify=True)\nrequests.get(url, verify=path)\n"),
    ("B501", "from mine import get\nget(url, verify=False)\n"),
    ("B506", "import yaml\nyaml.load(x, Loader=yaml.SafeLoader)\nyaml.safe_load(x)\n"),
    ("B506", "import yaml\nyaml.load(*given)\n"),
    ("B506", "from yaml import load\nload(x)\n"),
    ("B324", "import hashlib\nh = hashlib.md5(data, usedforsecurity=False)\n"),
    ("B324", "import hashlib\nstored = hashlib.md5(password.encode()).hexdigest()\n"),
    ("B324", "from mine import hashlib\nx = hashlib.md5(data)\n"),
    ("B311", "import random\ncolour = random.choice(COLOURS)\n"),
    ("B311", "import random\nsecrets = load()\ntoken = random.choice(secrets)\n"),
    ("B307", "result = eval(expression)\n"),
    ("B307", "eval('1 + 1')\n"),
    ("B202", "import zipfile\nwith zipfile.ZipFile(p) as z:\n    z.extractall(folder)\n"),
    ("B314", "import xml.etree.ElementTree as ET\nET.parse(x)\nET.SubElement(a, 'b')\n"),
    ("B105", "password_field = 'password'\ntoken_url = 'https://a.example'\nname = 'abcdefgh'\n"),
    ("B105", "password = read()\ntoken = ''\nsecret = 'two words'\n"),
    ("B306", "import tempfile\nopen(tempfile.mktemp())\n"),
    ("timing-attack", "import hmac\nif token == 'abc': pass\nif a == b: pass\n"),
    ("py/path-injection", "import os\npath = os.path.join(BASE, 'a.txt')\n"),
    (
        "py/path-injection",
        (
            "import os\ndef f(n):\n    p = os.path.join(B, n)\n"
            "    if not os.path.realpath(p).startswith(B) or not p.startswith(B):\n        raise E\n"
        ),
    ),
    ("cookie", "response.set_cookie('a', b, secure=True, httponly=True, samesite='Strict')\n"),
    ("cookie", "response.set_cookie('a', b, **options)\n"),
    ("B105", "reset_password = 'reset-password'\nTOKEN = 'Bearer'\n"),
    ("cookie", "response.set_cookie('csrf_token', token)\n"),
    ("B324", "import hashlib\nfrom hashlib import md5\nx = md5(data)\n"),
    ("B608", "import sqlalchemy, psycopg2\ndb.execute(f'SELECT a FROM u WHERE a = {a}')\n"),
    ("B307", "x = eval(response.content)\n"),
    ("jwt", "import jwt\njwt.decode(t, options={'verify_signature': False})\n"),
    ("cors", "from flask_cors import CORS\nCORS(app, origins=['https://a.example'])\n"),
]


@pytest.mark.parametrize(("rule", "before", "after"), SETTINGS + CALLS)
def test_weak_python_is_mended(mend: Mend, rule: str, before: str, after: str) -> None:
    """The weakness goes, its imports come and go with it, and nothing else changes."""
    assert mend("app/main.py", before, rule) == after


@pytest.mark.parametrize(("rule", "text"), UNTOUCHED)
def test_python_that_only_looks_weak_stays(mend: Mend, rule: str, text: str) -> None:
    """Code that is right, and code that cannot be mended without guessing, has no fix."""
    assert mend("app/main.py", text, rule) is None


def test_a_part_of_a_file_gets_no_import(mend: Mend) -> None:
    """A snippet is mended with the names that it would have, and the import is asked for."""
    text = "    token = random.choice(letters)\n    return token"
    assert mend("a.py", text, "B311", whole=False) == text.replace("random", "secrets")
