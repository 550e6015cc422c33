"""Python: a fix does what the code did, or there is none."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

UNSAFE = [
    # What would work no more, or would not be safe.
    ("B506", "import yaml\nyaml.add_constructor('!a', f)\nyaml.load(x)\n"),
    ("B701", "import jinja2\ne = jinja2.Environment()\ne.get_template('nginx.conf.j2')\n"),
    ("jinja2", "import jinja2\nt = jinja2.Template('SELECT {{ a }}', autoescape=False)\n"),
    ("cookie", "import falcon\nr.set_cookie('sid', v, http_only=False)\n"),
    ("cookie", "self.client.set_cookie('sid', v)\n"),
    ("cookie", "response.set_cookie('theme', theme)\n"),
    ("csrf", "class TestConfig:\n    WTF_CSRF_ENABLED = False\n"),
    ("csrf", "app.config['TESTING'] = True\napp.config['WTF_CSRF_ENABLED'] = False\n"),
    ("ssl-redirect", "SECURE_SSL_REDIRECT = False\n"),
    ("jwt", "import jwt\njwt.decode(t, '', algorithms=a, options={'verify_signature': False})\n"),
    ("B324", "import hashlib, uuid\nu = uuid.UUID(hashlib.md5(x).hexdigest())\n"),
    ("B324", "import hashlib\ndef md5_of(p):\n    return hashlib.md5(p).hexdigest()\n"),
    ("B324", "import hashlib\nmd5sum = hashlib.md5(p).hexdigest()\n"),
    ("B324", "import hashlib\nkey = hashlib.md5(seed).digest()\n"),
    ("B324", "import hashlib\ndef f(k):\n    k = hashlib.md5(k).digest()\n    return AES.new(k)\n"),
    ("B311", "import random\nrandom.seed(1)\ntoken = random.choice(words)\n"),
    ("B311", "import random\ndef auth_later():\n    time.sleep(random.uniform(0, 1))\n"),
    ("timing", "import hmac\nx = h.get('s') == hmac.new(k, b, 'sha256').hexdigest()\n"),
    ("B306", "import os, tempfile\ndef f():\n    p = tempfile.mktemp()\n    os.mkdir(p)\n"),
    ("B306", "import os, tempfile\ndef f():\n    if x: p = tempfile.mktemp()\n    return p\n"),
    ("eval", "x = eval(line)\ny = eval(content)\n"),
    (
        "B202",
        (
            "import tarfile, zipfile\ndef a():\n    with tarfile.open(p) as z:\n        z.list()\n"
            "def b():\n    with zipfile.ZipFile(p) as z:\n        z.extractall(d)\n"
        ),
    ),
    ("B704", "from markupsafe import Markup\nx = Markup(f'<p>{form_html}</p>')\n"),
    ("B704", "from markupsafe import Markup\nx = Markup(f'<script>a = \"{name}\"</script>')\n"),
    ("B602", "import subprocess\nsubprocess.run(f'ls {a}', shell=True, executable='bash')\n"),
    ("B605", "import os\nos.system('cls')\n"),
    ("B605", "import os\nx = os.WEXITSTATUS(os.system('ls'))\n"),
    (
        "py/path-injection",
        "import os\n@app.get('/')\ndef f(user, name):\n    p = os.path.join(ROOT, user, name)\n",
    ),
    (
        "render-template-string",
        "from flask import render_template_string as r\ndef f(html):\n    return r(f'<p>{html}</p>')\n",
    ),
    ("B608", "import sqlite3\nc.execute(f\"SELECT * FROM u WHERE a = {a or 'NULL'}\")\n"),
]


@pytest.mark.parametrize(("rule", "text"), UNSAFE)
def test_what_would_work_no_more_stays(mend: Mend, rule: str, text: str) -> None:
    """Code that needs what the fix takes away has none, and so has what it would not protect."""
    assert mend("app/main.py", text, rule) is None


BOTH = "import ssl\n\nc = ssl.create_default_context()\nc.check_hostname = False\nc.verify_mode = ssl.CERT_NONE\n"


@pytest.mark.parametrize("line", [4, 5])
def test_a_context_checks_the_host_and_the_certificate(mend: Mend, line: int) -> None:
    """Python raises where the host name is to be checked and the certificate is not."""
    wanted = BOTH.replace("False", "True").replace("CERT_NONE", "CERT_REQUIRED")
    assert mend("a.py", BOTH, "insecure-ssl-verify-mode", line=line) == wanted


@pytest.mark.parametrize(
    ("head", "gap"),
    [
        ('# Copyright\n"""Doc."""\n', "\n"),
        (
            '#!/usr/bin/env python\n# Copyright\n\n"""Doc."""\nfrom __future__ import annotations\n',
            "\n",
        ),
    ],
)
def test_an_import_stands_below_the_head_of_a_file(mend: Mend, head: str, gap: str) -> None:
    """A docstring stays the first statement, and `__future__` the first import."""
    text = f"{head}\nx = eval(data)\n"
    wanted = f"{head}{gap}import ast\n\nx = ast.literal_eval(data)\n"
    assert mend("a.py", text, "eval") == wanted


def test_an_import_of_another_function_is_none_of_the_file(mend: Mend) -> None:
    """What one function imports, the others do not know."""
    text = "def f():\n    import ast\n\n\ndef g(data):\n    return eval(data)\n"
    fixed = mend("a.py", text, "eval")
    assert fixed is not None
    assert fixed.startswith("import ast\n")


def test_what_may_be_missing_is_looked_at_first(mend: Mend) -> None:
    """`compare_digest` raises where `==` says no."""
    text = (
        "import hmac\n\ndef f(headers, body):\n    given = headers.get('X-Sig')\n"
        "    made = hmac.new(K, body, 'sha256').hexdigest()\n    return body and given == made\n"
    )
    wanted = text.replace(
        "given == made", "(given is not None and hmac.compare_digest(given, made))"
    )
    assert mend("a.py", text, "timing") == wanted


def test_what_may_be_a_number_becomes_text(mend: Mend) -> None:
    """A list of arguments takes texts only, and a command line took anything."""
    text = "import subprocess\n\ndef f(delay, n: str):\n    subprocess.run(f'x {delay} {n}', shell=True)\n"
    wanted = text.replace("f'x {delay} {n}', shell=True", "['x', str(delay), n]")
    assert mend("a.py", text, "B602") == wanted


def test_a_second_line_is_laid_out_as_the_first(mend: Mend) -> None:
    """Tabs stay tabs."""
    text = "import os\nimport tempfile\n\ndef f():\n\tp = tempfile.mktemp()\n\treturn os.stat(p)\n"
    fixed = mend("a.py", text, "B306")
    assert fixed is not None
    assert "\n\tos.close(descriptor)\n" in fixed
