"""Android's network security configuration: cleartext traffic and certificates of the user.

https://developer.android.com/privacy-and-security/security-config
"""

import ipaddress
from collections.abc import Iterator
from functools import lru_cache, partial

from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.xml_text import (
    Element,
    add_child,
    drop_attribute,
    drop_element,
    read_xml,
    repaired,
    set_attribute,
)
from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.quote import inline

_ROOT = "network-security-config"
_CLEARTEXT = "cleartextTrafficPermitted"
_LOCAL_SUFFIXES = (".local", ".localhost", ".test", ".internal", ".lan")
_DEBUG_ONLY = "user certificates in debug builds only"
_NEVER = "user certificates in no build"


def _read(text: str) -> Element | None:
    root = read_xml(text) if f"<{_ROOT}" in text else None
    return root if root is not None and root.name == _ROOT else None


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    root = _read(text)
    if root is None:
        return ()
    found = []
    for where, config in _configs(root):
        if config.get(_CLEARTEXT) == "true" and not _is_local(config):
            found.append(_weakness("cleartext", where, config, 0.8))
        users, overriding = _user_certificates(config), _overriding(config)
        found += [_weakness("user-certificates", where, element, 0.9) for element in users]
        found += [_weakness("pins-overridden", where, element, 0.7) for element in overriding]
    return tuple(found)


def _weakness(check: str, where: str, element: Element, weight: float) -> Weakness:
    lines = {"line": element.line, "end_line": element.tag_line}
    return Weakness(check=check, where=where, weight=weight, **lines)


def _configs(root: Element) -> Iterator[tuple[str, Element]]:
    """Yield the configurations of released builds with a name for each; nested ones as well."""
    seen: dict[str, int] = {}
    for element in root.walk():
        if element.name not in {"base-config", "domain-config"}:
            continue
        where = " ".join((element.name, *_domains(element)))
        seen[where] = seen.get(where, 0) + 1
        yield where if seen[where] == 1 else f"{where} #{seen[where]}", element


def _domains(config: Element) -> tuple[str, ...]:
    return tuple(domain.text or "?" for domain in config.named("domain"))


def _is_local(config: Element) -> bool:
    """Return whether the domains are all of the device or the developer's own network."""
    domains = _domains(config)
    return bool(domains) and all(map(_is_private, domains))


def _is_private(domain: str) -> bool:
    if domain == "localhost" or domain.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        return ipaddress.ip_address(domain).is_private
    except ValueError:
        return False


def _certificates(config: Element) -> tuple[Element, ...]:
    return tuple(c for a in config.named("trust-anchors") for c in a.named("certificates"))


def _user_certificates(config: Element) -> tuple[Element, ...]:
    return tuple(c for c in _certificates(config) if c.get("src") == "user")


def _overriding(config: Element) -> tuple[Element, ...]:
    return tuple(c for c in _certificates(config) if c.get("overridePins") == "true")


def _config(text: str, weakness: Weakness) -> tuple[Element, Element] | None:
    root = _read(text)
    config = dict(_configs(root)).get(weakness.where) if root else None
    return (root, config) if root and config else None


def _refuse_cleartext(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    found = _config(text, weakness)
    if found is None:
        return ()
    config = found[1]
    to = ", ".join(map(inline, _domains(config)[:3])) or "every host without a rule of its own"
    return _repaired(
        text,
        (set_attribute(text, config, _CLEARTEXT, "false"),),
        f"Requests without TLS to {to} are refused, so that nobody on the path reads or changes "
        "them.",
    )


def _distrust_user(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the configuration without the user's certificates, and with them for debugging only.

    Where they are the only ones, the system's take their place: no anchors trust nobody.
    """
    found = _config(text, weakness)
    if found is None:
        return ()
    root, config = found
    edits = tuple(edit for a in config.named("trust-anchors") for edit in _without_user(text, a))
    reason = (
        "Certificates that a user, or whoever holds the device for a moment, has added no longer "
        "vouch for servers, so that an intercepting proxy is refused."
    )
    never = _repaired(text, edits, reason, _NEVER)
    if root.child("debug-overrides") is not None:
        return tuple(Repair(after=repair.after, reason=repair.reason) for repair in never)
    lines = (
        "<debug-overrides>",
        "\t<trust-anchors>",
        '\t\t<certificates src="user" />',
        "\t</trust-anchors>",
        "</debug-overrides>",
    )
    last = root.children[-1] if root.children else None
    for_debugging = add_child(text, root, lines, last)
    debug = _repaired(
        text,
        (*edits, for_debugging),
        f"{reason[:-1]}; builds that are debuggable still trust them, for a proxy at the desk.",
        _DEBUG_ONLY,
    )
    return (*never, *debug)


def _without_user(text: str, anchors: Element) -> Iterator[TextEdit]:
    users = [c for c in anchors.named("certificates") if c.get("src") == "user"]
    is_only = len(users) == len(anchors.children)
    for place, certificates in enumerate(users):
        if is_only and place == 0:
            yield set_attribute(text, certificates, "src", "system")
        else:
            yield drop_element(text, certificates)


def _keep_pins(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    found = _config(text, weakness)
    overriding = _overriding(found[1]) if found else ()
    attributes = [c.attribute("overridePins") for c in overriding]
    return _repaired(
        text,
        tuple(drop_attribute(text, attribute) for attribute in attributes if attribute),
        "Without `overridePins` a chain that ends in these certificates has to match the pins "
        "like any other.",
    )


_repaired = partial(repaired, _read)

KIND = Kind(
    name="Android network security configuration",
    language="xml",
    recognises=lambda path, text: path.lower().endswith(".xml") and _read(text) is not None,
    weaknesses=_weaknesses,
    rules={
        r"user[_-]?ca[_-]?cert|trust_user_certs|AcceptsUserCertificates": "user-certificates",
        r"config_bypass_pinning": "pins-overridden",
        r"config_cleartext|nsc-allows-plaintext|InsecureBaseConfiguration|\bxml:S5332\b"
        r"|network-security-config.*cleartext": "cleartext",
    },
    mends=guarded(
        _weaknesses,
        {
            "cleartext": _refuse_cleartext,
            "user-certificates": _distrust_user,
            "pins-overridden": _keep_pins,
        },
    ),
)
"""Rules of mobsfscan, Semgrep, Android lint and SonarQube."""
