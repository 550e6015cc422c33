"""Go: settings, algorithms and packages with a safe sister."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns import go_code
from secdaemon.pipeline.fixes.patterns.go_code import Names, fields, literals, with_fields
from secdaemon.pipeline.fixes.patterns.instances import GO, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import (
    NO_SECRET,
    PASSWORDS,
    READ_BY_SCRIPTS,
    arguments,
    around,
    calls,
    replaced,
    words_in,
)
from secdaemon.pipeline.routes.syntax import child, field, text_of, within

_OTHERS = 0o077
"""The rights of everybody but the owner."""
_OLD_TLS = frozenset(("VersionSSL30", "VersionTLS10", "VersionTLS11"))
_SUMS = {
    "crypto/md5.Sum": "Sum256",
    "crypto/md5.New": "New",
    "crypto/sha1.Sum": "Sum256",
    "crypto/sha1.New": "New",
}
_FIXED = re.compile(
    r"(?<![a-z])(md-?[45]|sha-?1|git|blob|websocket|accept|totp|hotp|ha[12]|pwned|torrent|oauth|uuid"
    r"|iv|key|aes|des|cipher|checksum|expected)(sum|s|hash|digest)?(?![a-z])"
)
"""What says which digest, or how long a one, others want."""
_PAGES = re.compile(
    r"\.html\b|</?(a|b|body|div|form|h\d|html|li|p|span|table|td|title|ul)\b|http\.ResponseWriter"
)
_COOKIE = {"HttpOnly": "true", "Secure": "true", "SameSite": "http.SameSiteLaxMode"}


def _tls(code: Code) -> Iterator[Instance]:
    """Yield TLS configurations without verification."""
    names = Names(code)
    for node in literals(code, names, "crypto/tls.Config"):
        known = fields(node)
        if known is None:
            continue
        skip = known.get("InsecureSkipVerify")
        if skip is not None and text_of(skip) == "true":
            reason = (
                "The handshake fails unless the server's certificate is valid for its name; a "
                "private authority belongs into `RootCAs`."
            )
            yield Instance(skip, (replaced(code, skip, "false"),), reason)


def _least_tls(code: Code) -> Iterator[Instance]:
    """Yield TLS configurations with a version before 1.2, and those that name none."""
    names = Names(code)
    for node in literals(code, names, "crypto/tls.Config"):
        known, body = fields(node), field(node, "body")
        least = known.get("MinVersion") if known is not None else None
        version = text_of(least).rpartition(".")[2] if least is not None else ""
        if least is not None and version in _OLD_TLS:
            new = text_of(least).removesuffix(version) + "VersionTLS12"
            reason = "TLS 1.2 is the oldest version without a known break of the protocol."
            yield Instance(node, (replaced(code, least, new),), reason)
        if known is None or body is None or least is not None:
            continue
        package = text_of(field(node, "type")).partition(".")[0]
        edits = with_fields(code, body, {"MinVersion": f"{package}.VersionTLS12"})
        reason = "With `MinVersion` no peer can bring the connection down to a broken version."
        yield Instance(node, edits, reason)


def _cookies(code: Code) -> Iterator[Instance]:
    """Yield cookies without `Secure`, `HttpOnly` or `SameSite`."""
    names = Names(code)
    for node in literals(code, names, "net/http.Cookie"):
        known, body = fields(node), field(node, "body")
        package = text_of(field(node, "type")).partition(".")[0]
        if known is None or body is None or "Name" not in known:
            continue
        if READ_BY_SCRIPTS.search(text_of(known["Name"])):
            continue
        wanted = {name: new.replace("http.", f"{package}.") for name, new in _COOKIE.items()}
        wrong = [name for name in wanted if name in known and text_of(known[name]) == "false"]
        missing = [name for name in wanted if name not in known]
        edits = [replaced(code, known[name], wanted[name]) for name in wrong]
        if missing:
            edits += with_fields(code, body, {name: wanted[name] for name in missing})
        if edits:
            reason = (
                "`HttpOnly` keeps the cookie from scripts, `Secure` off plain HTTP, and `SameSite` "
                "from requests that other sites start."
            )
            yield Instance(node, tuple(edits), reason)


def _hashes(code: Code) -> Iterator[Instance]:
    """Yield MD5 and SHA-1; mended unless a password is hashed or the digest's size is fixed."""
    names = Names(code)
    has_size = re.search(r"\[(16|20)\]byte|(md5|sha1)\.(Size|BlockSize)", code.text)
    for node in within(code.root, "selector_expression"):
        origin = names.of(node)
        new = _SUMS.get(origin if "/" in origin else f"crypto/{origin}")
        if new is None:
            continue
        statement = around(
            node,
            "short_var_declaration",
            "assignment_statement",
            "return_statement",
            "expression_statement",
        )
        function = around(node, "function_declaration", "method_declaration")
        name = text_of(field(function, "name")) if function is not None else ""
        about = words_in(text_of(statement or node), name)
        beside = _FIXED.search(about.replace(words_in(text_of(node)), "", 1))
        is_kept = (
            PASSWORDS.search(about)
            or NO_SECRET.search(about)
            or has_size
            or beside
            or _is_mac(node)
        )
        added = names.adding("crypto/sha256")
        edits = (
            ()
            if is_kept or added is None
            else (
                replaced(code, node, f"sha256.{new}"),
                *added,
            )
        )
        old = "MD5" if "md5" in origin else "SHA-1"
        needs = "" if code.whole else " The file needs the import `crypto/sha256`."
        reason = f"Two inputs with one {old} digest can be made; for SHA-256 nobody knows how."
        yield Instance(node, edits, reason + needs)


def _is_mac(node: Node) -> bool:
    """Return whether a digest is made for a keyed one, in which collisions help nobody."""
    call = around(node, "call_expression")
    return call is not None and text_of(field(call, "function")).endswith(
        ("hmac.New", "pbkdf2.Key")
    )


def _packages(code: Code) -> Iterator[Instance]:
    """Yield packages with a safe sister of the same functions: the import, and each use."""
    names = Names(code)
    for old, new, allowed, why in (
        (
            "math/rand",
            "crypto/rand",
            frozenset(("Read",)),
            (
                "`crypto/rand` reads from the operating system's generator; what `math/rand` gives "
                "can be computed from its seed."
            ),
        ),
        (
            "text/template",
            "html/template",
            None,
            (
                "`html/template` has the same functions and escapes each value for the place in "
                "the page where it stands."
            ),
        ),
    ):
        spec = names.spec(old)
        if spec is None or not code.whole or names.spec(new) is not None:
            continue
        uses = names.uses(old)
        is_same = uses and all(
            allowed is None or text_of(field(use, "field")) in allowed for use in uses
        )
        is_web = allowed is not None or (names.has("net/http") and _PAGES.search(code.text))
        path = field(spec, "path")
        edits = (
            go_code.reordered(code, spec, path, f'"{new}"') if is_same and is_web and path else ()
        )
        for node in (spec, *uses):
            yield Instance(node, edits, why)


def _permissions(code: Code) -> Iterator[Instance]:
    """Yield files and folders that others may write or read."""
    names = Names(code)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        package, _, name = origin.rpartition(".")
        if package not in {"os", "io/ioutil", "ioutil"} or not given:
            continue
        most = {
            "Mkdir": "0750",
            "MkdirAll": "0750",
            "Chmod": "0600",
            "WriteFile": "0600",
            "OpenFile": "0600",
        }.get(name)
        mode = re.fullmatch(r"0o?([0-7]{3})", text_of(given[-1]))
        if most is None or mode is None or not int(mode[1], 8) & ~int(most, 8) & _OTHERS:
            continue
        if most == "0600" and int(mode[1], 8) & 0o100:
            # A program, whose mode the rule reports whatever it is.
            yield Instance(call, (), "")
            continue
        who = "nobody but the owner" if most == "0600" else "nobody but the owner and its group"
        reason = f"With `{most}` {who} can read or change it."
        yield Instance(call, (replaced(code, given[-1], most),), reason)


def _servers(code: Code) -> Iterator[Instance]:
    """Yield HTTP servers that wait for a request's headers forever."""
    names = Names(code)
    added = names.adding("time")
    needs = "" if code.whole else " The file needs the import `time`."
    reason = (
        "A client that sends its headers slowly is cut off after ten seconds, and cannot hold all "
        f"connections.{needs}"
    )
    for node in literals(code, names, "net/http.Server"):
        known, body = fields(node), field(node, "body")
        if known is None or body is None or {"ReadHeaderTimeout", "ReadTimeout"} & set(known):
            continue
        edits = with_fields(code, body, {"ReadHeaderTimeout": "10 * time.Second"})
        yield Instance(node, (*edits, *added) if added is not None else (), reason)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        if origin not in {"net/http.ListenAndServe", "http.ListenAndServe"} or len(given) != 2:  # noqa: PLR2004
            continue
        package = text_of(child(field(call, "function") or call, "identifier"))
        handled = "" if text_of(given[1]) == "nil" else f", Handler: {text_of(given[1])}"
        new = (
            f"(&{package}.Server{{Addr: {text_of(given[0])}{handled}, "
            "ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()"
        )
        is_plain = added is not None and "\n" not in new
        yield Instance(
            call, (replaced(code, call, new), *(added or ())) if is_plain else (), reason
        )


PATTERNS = (
    pattern("go-tls", r"g402|.*(tls|ssl|insecure-?skip|cert)", (295, 326, 327), GO, _tls),
    pattern(
        "go-tls-version",
        r".*(min-?version|missing-ssl|insecure-tls|(tls|ssl)-version|weak-(tls|ssl))",
        (326, 327),
        GO,
        _least_tls,
    ),
    pattern("go-cookies", r".*cookie", (614, 1004, 1275), GO, _cookies),
    pattern(
        "go-hashes",
        r"g401|g50[15]|.*(md5|sha-?1(?!\d)|weak-(hash|crypto)|broken-crypto|use-of-weak)",
        (327, 328, 326),
        GO,
        _hashes,
    ),
    pattern(
        "go-packages",
        r"g404|g203|.*(math-?random|math-rand|insecure-rand|text-?template)",
        (79, 338, 330),
        GO,
        _packages,
    ),
    pattern("go-permissions", r"g30[1267]|.*permission", (276, 732), GO, _permissions),
    pattern(
        "go-timeouts",
        r"g11[24]|.*(slowloris|timeout|listen-and-serve)",
        (400, 770, 676),
        GO,
        _servers,
    ),
)
