"""Python: cookies, and settings of Flask and Django, that leave a protection out."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.python_code import (
    Names,
    has_splat,
    keyword,
    keyword_value,
    method_of,
    positional,
    string_value,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    READ_BY_SCRIPTS,
    appended,
    arguments,
    around,
    calls,
    items,
    quote_in,
    replaced,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_SECURE_SETTINGS = frozenset(
    (
        "CSRF_COOKIE_SECURE",
        "REMEMBER_COOKIE_HTTPONLY",
        "REMEMBER_COOKIE_SECURE",
        "SECURE_CONTENT_TYPE_NOSNIFF",
        "SECURE_SSL_REDIRECT",
        "SESSION_COOKIE_HTTPONLY",
        "SESSION_COOKIE_SECURE",
        "WTF_CSRF_ENABLED",
    )
)
_NO_SETTING = re.compile(r"test|dev|local|debug", re.IGNORECASE)
_TESTING = re.compile(r"""\bTESTING['"]?\]?\s*[=:]\s*True""")
_COOKIE = {"secure": "True", "httponly": "True", "samesite": '"Lax"'}
_OTHER_COOKIES = re.compile(r"client|browser|driver|session\.cookies|jar\b")
"""What takes cookies as a browser does, rather than sending them to one."""
_MIN_COOKIE_ARGUMENTS = 2


def _cookies(code: Code) -> Iterator[Instance]:
    """Yield cookies that are set without `Secure`, `HttpOnly` or `SameSite`."""
    is_other = Names(code).has("falcon")
    for call in calls(code):
        given = field(call, "arguments")
        if method_of(call) != "set_cookie" or given is None or has_splat(call):
            continue
        if _OTHER_COOKIES.search(text_of(field(call, "function"))) or is_other:
            continue
        if len(arguments(call)) < _MIN_COOKIE_ARGUMENTS or len(positional(call)) > (
            _MIN_COOKIE_ARGUMENTS + 1
        ):
            continue
        if READ_BY_SCRIPTS.search(text_of(arguments(call)[0])):
            continue
        wrong = [
            (value, right)
            for name, right in _COOKIE.items()
            if (value := keyword_value(call, name)) is not None
            and text_of(value) in {"False", "None"}
        ]
        missing = [name for name in _COOKIE if keyword(call, name) is None]
        if not wrong and not missing:
            continue
        quote = quote_in(code)
        edits = [replaced(code, value, right.replace('"', quote)) for value, right in wrong]
        if missing:
            edits.append(appended(code, given, [f"{name}={_COOKIE[name]}" for name in missing]))
        reason = (
            "`Secure` keeps the cookie off plain HTTP, `HttpOnly` from scripts, and `SameSite` "
            "from requests that other sites start."
        )
        yield Instance(call, tuple(edits), reason)


def _cookie_settings(code: Code) -> Iterator[Instance]:
    """Yield settings of Flask and Django that switch a protection off."""
    for node in within(code.root, "assignment"):
        left, right = field(node, "left"), field(node, "right")
        if left is None or right is None or text_of(right) != "False":
            continue
        name = text_of(left)
        if left.type == "subscript":
            name = string_value(field(left, "subscript")) or ""
        name = name.rpartition(".")[2]
        if name in _SECURE_SETTINGS and not _is_meant(code, node, name):
            yield _setting(code, node, right, name)
    for call in calls(code):
        for given in items(field(call, "arguments") or call) if method_of(call) == "update" else ():
            name = text_of(field(given, "name"))
            value = field(given, "value")
            if value is None or text_of(value) != "False" or name not in _SECURE_SETTINGS:
                continue
            if not _is_meant(code, given, name):
                yield _setting(code, given, value, name)


def _is_meant(code: Code, node: Node, name: str) -> bool:
    """Return whether a protection is off for tests, for development, or at the proxy's place."""
    if name == "SECURE_SSL_REDIRECT" and "SECURE_PROXY_SSL_HEADER" not in code.text:
        # Behind a proxy that ends TLS every request would be sent on forever.
        return True
    group = around(node, "class_definition", "function_definition")
    called = text_of(field(group, "name")) if group is not None else ""
    return bool(_NO_SETTING.search(called) or _TESTING.search(code.text))


def _setting(code: Code, node: Node, value: Node, name: str) -> Instance:
    what = re.sub(r"^(SESSION|CSRF|REMEMBER)_COOKIE_", "", name)
    why = {
        "SECURE": "the cookie is never sent over plain HTTP",
        "HTTPONLY": "no script of a page can read the cookie",
        "WTF_CSRF_ENABLED": "forms are refused without the token of this site",
        "SECURE_SSL_REDIRECT": "plain HTTP requests are sent on to HTTPS",
    }.get(what, "browsers do not guess another content type")
    return Instance(node, (replaced(code, value, "True"),), f"With `{name}` on, {why}.")


PATTERNS = (
    pattern("python-cookies", r".*cookie", (614, 1004, 1275), PYTHON, _cookies),
    pattern(
        "python-cookie-settings",
        r".*(cookie|csrf|ssl-redirect|nosniff)",
        (614, 1004, 352, 319),
        PYTHON,
        _cookie_settings,
    ),
)
