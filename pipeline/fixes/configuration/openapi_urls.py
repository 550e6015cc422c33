"""Addresses of an OpenAPI description that are called without TLS."""

import ipaddress
import re
from collections.abc import Iterator

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.openapi_document import Description, read_description
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, node_at
from secdaemon.pipeline.fixes.quote import inline

CLEARTEXT = "cleartext-address"

_HOST = re.compile(r"(?:http|ws)://(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"\b(http|ws)(?=://)", re.IGNORECASE)
_LOCAL = re.compile(r"localhost|.*\.(local|localhost|test|internal)", re.IGNORECASE)
_SECURE = {"http": "https", "ws": "wss"}
_OAUTH = ("authorizationUrl", "openIdConnectUrl", "refreshUrl", "tokenUrl")


def cleartext(description: Description) -> tuple[Weakness, ...]:
    """Return the servers, the schemes of 2.0 and the OAuth addresses without TLS."""
    return tuple(
        Weakness(
            check=CLEARTEXT,
            where=".".join(place[1:]),
            line=node.line,
            end_line=node.end_line,
            weight=0.8,
        )
        for place, node in (*_addresses(description), *_protocols(description))
    )


def encrypt(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the description with TLS at an address."""
    description = read_description(text)
    if description is None:
        return ()
    for place, node in _addresses(description):
        if ".".join(place[1:]) == weakness.where:
            host = _HOST.match(node.value)
            named = inline(host[1] if host else node.value)
            after = documents.rewrite(text, place, _with_tls)
            return _repaired(after, f"{named} is called over TLS, where it has to answer")
    for place, node in _protocols(description):
        if ".".join(place[1:]) == weakness.where:
            after = _without_plain(text, place, node)
            return _repaired(after, "The description offers TLS alone")
    return ()


def _repaired(after: str | None, what: str) -> tuple[Repair, ...]:
    if after is None:
        return ()
    reason = f"{what}, so that tokens and data do not cross the network readable."
    return (Repair(after=after, reason=reason),)


def _with_tls(raw: str) -> str:
    found = _SCHEME.search(raw)
    return raw if found is None else raw.replace(found[0], _SECURE[found[0].lower()], 1)


def _addresses(description: Description) -> Iterator[tuple[Place, Node]]:
    """Yield the addresses without TLS that lead to other machines."""
    for place, url in (*_servers(description), *_oauth(description)):
        found = _HOST.match(url.value.strip()) if url.kind == "scalar" else None
        if found and not _is_local(found[1]):
            yield place, url


def _servers(description: Description) -> Iterator[tuple[Place, Node]]:
    """Yield the addresses of the servers of the description, of its paths and operations."""
    paths = description.root.get("paths")
    holders: list[tuple[Place, Node]] = [(ROOT, description.root)]
    holders += [((*ROOT, "paths", k.value), item) for k, item in (paths.pairs if paths else ())]
    holders += [(operation.place, operation.node) for operation in description.operations()]
    for place, holder in holders if description.version == 3 else ():  # noqa: PLR2004
        servers = holder.get("servers")
        for at, server in enumerate(servers.items if servers else ()):
            url = server.get("url")
            if url is not None:
                yield (*place, "servers", str(at), "url"), url


def _oauth(description: Description) -> Iterator[tuple[Place, Node]]:
    """Yield the addresses that tokens are asked for at."""
    for _, place, scheme in description.schemes:
        flows = scheme.get("flows")
        parts: list[tuple[Place, Node]] = [(place, scheme)]
        parts += [((*place, "flows", k.value), flow) for k, flow in (flows.pairs if flows else ())]
        for where, part in parts:
            found = ((name, part.get(name)) for name in _OAUTH)
            yield from (((*where, name), url) for name, url in found if url is not None)


def _is_local(host: str) -> bool:
    """Return whether a host is this machine or on the developer's own network, or is not known."""
    if not host or "{" in host or _LOCAL.fullmatch(host):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return False


def _protocols(description: Description) -> Iterator[tuple[Place, Node]]:
    """Yield the lists of protocols of 2.0 that offer one without TLS."""
    host = description.root.get("host")
    if description.version != 2 or (host and _is_local(host.value.partition(":")[0])):  # noqa: PLR2004
        return
    holders = [(ROOT, description.root)]
    holders += [(operation.place, operation.node) for operation in description.operations()]
    for place, holder in holders:
        schemes = holder.get("schemes")
        if schemes and any(item.value.lower() in _SECURE for item in schemes.items):
            yield (*place, "schemes"), schemes


def _without_plain(text: str, place: Place, schemes: Node) -> str | None:
    """Return the text without protocols in the clear; one without its secure twin becomes it."""
    there = {item.value.lower() for item in schemes.items}
    after: str | None = text
    for at in reversed(range(len(schemes.items))):
        name = schemes.items[at].value.lower()
        if after is not None and name in _SECURE:
            is_offered = _SECURE[name] in there
            item = (*place, str(at))
            after = (
                _without_item(after, item)
                if is_offered
                else documents.rewrite(after, item, _secured)
            )
    return after


def _secured(raw: str) -> str:
    """Return the name of a protocol as that of its secure twin."""
    return re.sub(r"\b(http|ws)\b", lambda found: _SECURE[found[1]], raw.lower())


def _without_item(text: str, item: Place) -> str | None:
    """Take an item out of a list; in YAML's `[a, b]` with the comma that it leaves."""
    after = documents.remove(text, item)
    if after is not None or documents.is_json(text):
        return after
    document = documents.read(text)
    items = node_at(document, item[:-1]) if document else None
    if items is None or not items.is_flow or items.line != items.end_line:
        return None
    kept = [text[i.start : i.end] for at, i in enumerate(items.items) if at != int(item[-1])]
    return documents.rewrite(text, item[:-1], lambda _raw: f"[{', '.join(kept)}]")
