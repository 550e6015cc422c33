"""Python: arguments and settings that switch a protection off."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
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
    appended,
    arguments,
    calls,
    replaced,
    without,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_HTTP_VERBS = frozenset(("delete", "get", "head", "options", "patch", "post", "put", "request"))
_HTTP_CLIENTS = frozenset(("Client", "AsyncClient", "send", "stream"))
_UNSAFE_LOADERS = frozenset(("Loader", "UnsafeLoader", "FullLoader", "CLoader", "CFullLoader"))
_OLD_TLS = frozenset(("SSLv3", "TLSv1", "TLSv1_1", "MINIMUM_SUPPORTED"))
_JINJA = frozenset(("jinja2.Environment", "jinja2.Template", "jinja2.sandbox.SandboxedEnvironment"))
_OWN_TAGS = re.compile(r"add_(multi_)?constructor|add_implicit_resolver|YAMLObject|!!python")
_NO_PAGES = re.compile(
    r"\.(j2|jinja2?|tpl|tmpl|te?xt|md|rst|ya?ml|json|toml|conf|cfg|sql|tex|py)\b"
)
_TAG = re.compile(r"</?[a-z]", re.IGNORECASE)


def _certificates(code: Code) -> Iterator[Instance]:
    """Yield HTTP calls with `verify=False`, and TLS contexts without verification."""
    names = Names(code)
    is_http = names.has("requests", "httpx") or not code.whole
    for call in calls(code):
        verify = keyword(call, "verify")
        if is_http and verify is not None and _is(call, "verify", "False"):
            if method_of(call) in _HTTP_VERBS | _HTTP_CLIENTS:
                reason = (
                    "Without `verify=False` the server's certificate is checked, so that nobody on "
                    "the way can answer in its place."
                )
                yield Instance(call, (without(code, verify),), reason)
        elif names.of(field(call, "function")) == "ssl._create_unverified_context":
            called = field(call, "function")
            module = field(called, "object") if called is not None else None
            if called is not None and module is not None and not arguments(call):
                new = f"{text_of(module)}.create_default_context"
                reason = (
                    "`ssl.create_default_context()` checks the certificate and the host name, "
                    "which the unverified context does not."
                )
                yield Instance(call, (replaced(code, called, new),), reason)
    yield from _context_settings(code, names)


def _context_settings(code: Code, names: Names) -> Iterator[Instance]:
    """Yield assignments to attributes of a TLS context or an HTTP session.

    A context that checks host names takes no `CERT_NONE`, and one that checks certificates alone
    takes anybody's, so that both settings of a context change together.
    """
    off = {
        text_of(field(left, "object")): right
        for node in within(code.root, "assignment")
        if (left := field(node, "left")) and (right := field(node, "right"))
        if text_of(left).endswith(".check_hostname") and text_of(right) == "False"
    }
    none = {
        text_of(field(left, "object")): right
        for node in within(code.root, "assignment")
        if (left := field(node, "left")) and (right := field(node, "right"))
        if text_of(left).endswith(".verify_mode") and names.of(right) == "ssl.CERT_NONE"
    }
    for node in within(code.root, "assignment"):
        left, right = field(node, "left"), field(node, "right")
        if left is None or right is None or left.type != "attribute":
            continue
        attribute, value = text_of(field(left, "attribute")), text_of(right)
        origin, context = names.of(right), text_of(field(left, "object"))
        both: tuple[TextEdit, ...] = ()
        if attribute == "verify_mode" and origin == "ssl.CERT_NONE":
            new = value.removesuffix("CERT_NONE") + "CERT_REQUIRED"
            reason = "`CERT_REQUIRED` makes the handshake fail unless the certificate is valid."
            if context in off:
                both = (replaced(code, off[context], "True"),)
                reason = (
                    "The handshake fails unless the certificate is valid and is the one of the "
                    "host called."
                )
        elif attribute == "check_hostname" and value == "False":
            new = "True"
            reason = "With `check_hostname` the certificate has to be the one of the host called."
            if context in none:
                required = text_of(none[context]).removesuffix("CERT_NONE") + "CERT_REQUIRED"
                both = (replaced(code, none[context], required),)
                reason = (
                    "The handshake fails unless the certificate is valid and is the one of the "
                    "host called."
                )
        elif attribute == "verify" and value == "False" and names.has("requests"):
            new = "True"
            reason = "With `verify` on, the session checks every server's certificate again."
        elif names.of(left) == "ssl._create_default_https_context" and origin == (
            "ssl._create_unverified_context"
        ):
            new = value.replace("_create_unverified_context", "create_default_context")
            reason = "HTTPS calls of the whole process check certificates and host names again."
        else:
            continue
        yield Instance(node, (replaced(code, right, new), *both), reason)


def _old_protocols(code: Code) -> Iterator[Instance]:
    """Yield the least TLS version of a context where it is a broken one."""
    names = Names(code)
    for node in within(code.root, "assignment"):
        left, right = field(node, "left"), field(node, "right")
        if left is None or right is None or not text_of(left).endswith(".minimum_version"):
            continue
        start, _, version = names.of(right).rpartition(".")
        if start == "ssl.TLSVersion" and version in _OLD_TLS:
            new = text_of(right).removesuffix(version) + "TLSv1_2"
            reason = "TLS 1.2 is the oldest version without a known break of the protocol."
            yield Instance(node, (replaced(code, right, new),), reason)


def _yaml_load(code: Code) -> Iterator[Instance]:
    """Yield `yaml.load` with a loader that constructs objects, and without any."""
    names = Names(code)
    if _OWN_TAGS.search(code.text):
        # What is registered for the other loaders, `safe_load` does not know.
        return
    reason = "`safe_load` makes plain data only; the other loaders can construct Python objects."
    for call in calls(code):
        called = field(call, "function")
        origin = names.of(called)
        if called is None or has_splat(call) or not origin.startswith("yaml."):
            continue
        given, loader = positional(call), keyword(call, "Loader")
        second = loader or next(iter(given[1:]), None)
        value = field(loader, "value") if loader is not None else second
        if origin in {"yaml.unsafe_load", "yaml.full_load"}:
            second = None
        elif origin == "yaml.load" and (
            value is None or names.of(value).rpartition(".")[2] in _UNSAFE_LOADERS
        ):
            pass
        else:
            continue
        gone = (without(code, second),) if second is not None else ()
        edits = (replaced(code, called, _with_last(called, "safe_load")), *gone)
        # A function that was imported by its own name would have to be imported anew.
        yield Instance(call, edits if called.type == "attribute" else (), reason)


def _with_last(called: Node, name: str) -> str:
    return f"{text_of(field(called, 'object'))}.{name}"


def _debug_mode(code: Code) -> Iterator[Instance]:
    """Yield the run of a Flask application in debug mode."""
    names = Names(code)
    reason = (
        "Without debug mode an error shows no interactive debugger, in which anybody who reaches "
        "the page runs Python."
    )
    for call in calls(code):
        value = keyword_value(call, "debug")
        if method_of(call) != "run" or text_of(value) != "True" or value is None:
            continue
        if names.has("flask") or (not code.whole and text_of(call).startswith("app.run(")):
            yield Instance(call, (replaced(code, value, "False"),), reason)


def _autoescape(code: Code) -> Iterator[Instance]:
    """Yield Jinja environments that escape nothing."""
    names = Names(code)
    for call in calls(code):
        called, given = field(call, "function"), field(call, "arguments")
        origin = names.of(called)
        if called is None or given is None or has_splat(call) or origin not in _JINJA:
            continue
        value = keyword_value(call, "autoescape")
        if value is not None and text_of(value) != "False":
            continue
        is_short = origin == "jinja2.Template"
        is_page = _TAG.search(text_of(given)) if is_short else not _NO_PAGES.search(code.text)
        if not is_page:
            # Text that is no markup must not be escaped as markup.
            yield Instance(call, (), "")
            continue
        added: tuple[TextEdit, ...] | None = ()
        new = "True"
        if not is_short and text_of(called).startswith("jinja2.") and names.has("jinja2"):
            new = "jinja2.select_autoescape()"
        elif not is_short and called.type == "attribute" and names.of(called).count(".") == 1:
            new = f"{text_of(called).partition('.')[0]}.select_autoescape()"
        elif not is_short:
            new, added = "select_autoescape()", names.adding_member("jinja2", "select_autoescape")
        edit = (
            appended(code, given, [f"autoescape={new}"])
            if value is None
            else replaced(code, value, new)
        )
        reason = (
            "Values are escaped for HTML in templates whose names end in `.html`, `.htm` or "
            "`.xml`, and in templates that are made from strings."
            if not is_short
            else "The values in the template are escaped for HTML unless it says otherwise."
        )
        yield Instance(call, (edit, *added) if added is not None else (), reason)


def _tokens(code: Code) -> Iterator[Instance]:
    """Yield `jwt.decode` that checks no signature although it is given a key and algorithms."""
    names = Names(code)
    for call in calls(code):
        if names.of(field(call, "function")) != "jwt.decode" or has_splat(call):
            continue
        key = keyword_value(call, "key") or next(iter(positional(call)[1:]), None)
        algorithms = text_of(keyword_value(call, "algorithms")).lower()
        if text_of(key).strip("'\"") in {"", "None"} or not algorithms or "none" in algorithms:
            continue
        edits = _verified(code, call)
        if edits:
            reason = (
                "The signature is verified with the key before any claim is used, so that a "
                "forged token is refused."
            )
            yield Instance(call, edits, reason)


def _verified(code: Code, call: Node) -> tuple[TextEdit, ...]:
    """Return the edits that switch the signature's verification on."""
    verify = keyword(call, "verify")
    options = keyword_value(call, "options")
    if verify is not None and text_of(field(verify, "value")) == "False":
        return (without(code, verify),)
    for pair in within(options, "pair") if options is not None else ():
        value = field(pair, "value")
        if string_value(field(pair, "key")) == "verify_signature" and text_of(value) == "False":
            return (replaced(code, value, "True"),) if value is not None else ()
    return ()


def _is(call: Node, name: str, value: str) -> bool:
    return text_of(keyword_value(call, name)) == value


PATTERNS = (
    pattern(
        "python-certificates",
        r"b501|b323|.*(verif|cert-validation|unverified|disabled-cert|check-hostname)",
        (295, 297),
        PYTHON,
        _certificates,
    ),
    pattern("python-tls-version", r".*(tls|ssl|protocol)", (326, 327, 757), PYTHON, _old_protocols),
    pattern("python-yaml", r"b506|.*(yaml|deseriali)", (502,), PYTHON, _yaml_load),
    pattern("python-debug", r"b201|.*debug", (489, 94, 215), PYTHON, _debug_mode),
    pattern("python-autoescape", r"b701|.*(autoescape|jinja|xss)", (79, 94), PYTHON, _autoescape),
    pattern("python-jwt", r".*(jwt|jws)", (345, 347, 287), PYTHON, _tokens),
)
