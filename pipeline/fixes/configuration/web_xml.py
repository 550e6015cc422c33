"""web.xml, the deployment descriptor of a servlet application: cookies, listings, constraints.

The order of elements is that of the specification's schemas (`web-common_3_0.xsd` and later). Since
3.0 the children of `web-app` may stand in any order; what those schemas brought is not written
into an older descriptor.
"""

import re
from collections.abc import Iterator
from functools import lru_cache, partial

from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.xml_text import (
    Element,
    add_child,
    drop_element,
    read_xml,
    repaired,
)
from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.quote import inline

_COOKIE_ORDER = ("name", "domain", "path", "comment", "http-only", "secure", "attribute", "max-age")
_FLAGS = {"cookie-http-only": "http-only", "cookie-secure": "secure"}
_DENY = "deny-uncovered-http-methods"
_COVER_ALL = "the constraint for every method"
_DENY_OTHERS = "methods without a constraint denied"
_REASONS = {
    "http-only": "The container sets HttpOnly on the session cookie, so that a script in the page "
    "cannot read it.",
    "secure": "The container sets Secure on the session cookie, so that the browser never sends "
    "it over plain HTTP.",
}


def _read(text: str) -> Element | None:
    root = read_xml(text) if "<web-app" in text else None
    return root if root is not None and root.name == "web-app" else None


def _version(root: Element) -> tuple[int, int]:
    """Return the version of the servlet specification, (0, 0) where none is stated."""
    found = re.fullmatch(r"(\d)\.(\d)", root.get("version") or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    root = _read(text)
    return tuple(_found(root)) if root else ()


def _found(root: Element) -> Iterator[Weakness]:
    session = root.child("session-config")
    cookie = session.child("cookie-config") if session else None
    place = cookie or session or root
    for check, flag in _FLAGS.items():
        if _version(root) >= (3, 0) and _flag(cookie, flag) in {None, "false"}:
            yield _weakness(check, f"session-config {flag}", place, 0.6)
    for mode in session.named("tracking-mode") if session else ():
        if mode.text == "URL":
            yield _weakness("session-in-url", "session-config tracking-mode", mode, 0.8)
    for where, parameter in _listings(root):
        yield _weakness("directory-listing", where, parameter, 0.5)
    denies = root.child(_DENY) is not None
    for where, constraint in _constraints(root):
        if not _asks_for_role(constraint):
            continue
        if _methods(constraint) and not denies:
            yield _weakness("uncovered-methods", where, _methods(constraint)[0], 0.9)
        if _transport(constraint) in {"", "NONE"}:
            yield _weakness("plain-transport", where, constraint, 0.6)


def _weakness(check: str, where: str, element: Element, weight: float) -> Weakness:
    end = element.tag_line if element.name == "web-app" else element.end_line
    return Weakness(check=check, where=where, line=element.line, end_line=end, weight=weight)


def _flag(cookie: Element | None, flag: str) -> str | None:
    """Return what a flag of the cookie says, None where it is missing, "?" if it is no word."""
    found = cookie.child(flag) if cookie else None
    return None if found is None else found.text or "?"


def _listings(root: Element) -> Iterator[tuple[str, Element]]:
    """Yield the values that let a servlet list directories."""
    for servlet in root.named("servlet"):
        name = servlet.child("servlet-name")
        for parameter in servlet.named("init-param"):
            key, value = parameter.child("param-name"), parameter.child("param-value")
            if key and value and key.text in {"listings", "dirAllowed"} and value.text == "true":
                yield f"servlet {name.text if name else '?'} {key.text}", value


def _constraints(root: Element) -> Iterator[tuple[str, Element]]:
    """Yield the constraints with a name for each."""
    seen: dict[str, int] = {}
    for constraint in root.named("security-constraint"):
        where = " ".join(("security-constraint", *_patterns(constraint)))
        seen[where] = seen.get(where, 0) + 1
        yield where if seen[where] == 1 else f"{where} #{seen[where]}", constraint


def _patterns(constraint: Element) -> tuple[str, ...]:
    collections = constraint.named("web-resource-collection")
    return tuple(p.text or "?" for c in collections for p in c.named("url-pattern"))


def _asks_for_role(constraint: Element) -> bool:
    """Return whether some users are let in; a constraint without a role lets nobody in."""
    authority = constraint.child("auth-constraint")
    return authority is not None and authority.child("role-name") is not None


def _methods(constraint: Element) -> tuple[Element, ...]:
    collections = constraint.named("web-resource-collection")
    return tuple(m for c in collections for m in c.named("http-method"))


def _transport(constraint: Element) -> str:
    """Return the guarantee of a constraint, "" where it names none, "?" where it is no word."""
    data = constraint.child("user-data-constraint")
    guarantee = data.child("transport-guarantee") if data else None
    if data is None:
        return ""
    return (guarantee.text or "?") if guarantee else "?"


def _set_flag(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    root, flag = _read(text), _FLAGS[weakness.check]
    if root is None:
        return ()
    session = root.child("session-config")
    cookie = session.child("cookie-config") if session else None
    found = cookie.child(flag) if cookie else None
    if found is not None:
        edit = _replaced(found, "true")
    elif cookie is not None:
        before = _COOKIE_ORDER[: _COOKIE_ORDER.index(flag)]
        edit = add_child(text, cookie, (f"<{flag}>true</{flag}>",), _last(cookie, before))
    else:
        lines = ("<cookie-config>", f"\t<{flag}>true</{flag}>", "</cookie-config>")
        if session is not None:
            edit = add_child(text, session, lines, _last(session, ("session-timeout",)))
        else:
            outer = ("<session-config>", *(f"\t{line}" for line in lines), "</session-config>")
            edit = add_child(text, root, outer, root.children[-1] if root.children else None)
    return _repaired(text, (edit,), _REASONS[flag])


def _track_by_cookie(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    root = _read(text)
    session = root.child("session-config") if root else None
    modes = session.named("tracking-mode") if session else ()
    urls = [mode for mode in modes if mode.text == "URL"]
    is_only = len(urls) == len(modes)
    edits = [
        _replaced(mode, "COOKIE") if is_only and place == 0 else drop_element(text, mode)
        for place, mode in enumerate(urls)
    ]
    return _repaired(
        text,
        tuple(edits),
        "The session's id is no longer written into addresses, which histories, logs and Referer "
        "headers keep.",
    )


def _hide_listing(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    root = _read(text)
    value = dict(_listings(root)).get(weakness.where) if root else None
    if value is None:
        return ()
    return _repaired(
        text,
        (_replaced(value, "false"),),
        "A directory without a welcome file is answered with 404 and no longer with the list of "
        "what lies in it.",
    )


def _cover_methods(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the constraint for all methods where it is the only one of its paths, else denial."""
    root = _read(text)
    constraint = dict(_constraints(root)).get(weakness.where) if root else None
    if root is None or constraint is None:
        return ()
    methods, paths = _methods(constraint), ", ".join(map(inline, _patterns(constraint)[:3]))
    others = {p for _, c in _constraints(root) if c != constraint for p in _patterns(c)}
    repairs: list[Repair] = []
    if others.isdisjoint(_patterns(constraint)):
        repairs += _repaired(
            text,
            tuple(drop_element(text, method) for method in methods),
            f"A constraint that names no method holds for all: {paths} asked nobody who sent "
            "a method that was not named.",
            _COVER_ALL,
        )
    if _version(root) >= (3, 1):
        repairs += _repaired(
            text,
            (add_child(text, root, (f"<{_DENY}/>",), root.children[-1]),),
            f"Requests to {paths} by a method that no constraint names are refused, where they "
            "were let in unasked.",
            _DENY_OTHERS,
        )
    if len(repairs) == 1:
        return (Repair(after=repairs[0].after, reason=repairs[0].reason),)
    return tuple(repairs)


def _encrypt(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    root = _read(text)
    constraint = dict(_constraints(root)).get(weakness.where) if root else None
    if constraint is None:
        return ()
    data = constraint.child("user-data-constraint")
    guarantee = data.child("transport-guarantee") if data else None
    if guarantee is not None:
        edit = _replaced(guarantee, "CONFIDENTIAL")
    else:
        lines = (
            "<user-data-constraint>",
            "\t<transport-guarantee>CONFIDENTIAL</transport-guarantee>",
            "</user-data-constraint>",
        )
        edit = add_child(text, constraint, lines, constraint.child("auth-constraint"))
    paths = ", ".join(map(inline, _patterns(constraint)[:3]))
    return _repaired(
        text,
        (edit,),
        f"The container answers {paths} over TLS alone and redirects the rest, so that neither "
        "password nor session crosses the network readable.",
    )


def _last(parent: Element, names: tuple[str, ...]) -> Element | None:
    """Return the last child of these names."""
    return next(iter(reversed(parent.named(*names))), None)


def _replaced(element: Element, value: str) -> TextEdit:
    if element.is_empty:
        return TextEdit(element.start, element.end, f"<{element.name}>{value}</{element.name}>")
    return TextEdit(element.tag_end, element.close, value)


_repaired = partial(repaired, _read)

KIND = Kind(
    name="web.xml",
    language="xml",
    recognises=lambda path, text: path.lower().endswith(".xml") and _read(text) is not None,
    weaknesses=_weaknesses,
    rules={
        r"http-?_?only|\bS3330\b": "cookie-http-only",
        r"(cookie|session).*secure|(insecure|unsecured?)-?_?cookie|\bS2092\b": "cookie-secure",
        r"session-?_?id.*url|url-?_?rewrit|tracking-?_?mode": "session-in-url",
        r"director(y|ies)-?_?(list|brows|index)|dir-?_?listing": "directory-listing",
        r"uncovered|http-?_?method|verb-?_?tamper": "uncovered-methods",
        r"transport-?_?guarantee|user-?_?data-?_?constraint|cleartext|\bS5332\b": "plain-transport",
    },
    mends=guarded(
        _weaknesses,
        {
            **dict.fromkeys(_FLAGS, _set_flag),
            "session-in-url": _track_by_cookie,
            "directory-listing": _hide_listing,
            "uncovered-methods": _cover_methods,
            "plain-transport": _encrypt,
        },
    ),
    of_document=frozenset(_FLAGS),
)
"""Rules of SonarQube and, by their words, of Semgrep, CodeQL and Find Security Bugs."""
