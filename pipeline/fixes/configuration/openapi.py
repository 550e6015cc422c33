"""OpenAPI: operations that ask nothing of callers, weak schemes, addresses without TLS.

No scheme is invented: where a description declares none, there is nothing to require.
"""

from collections.abc import Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.openapi_document import (
    Description,
    Operation,
    is_empty,
    mappings,
    read_description,
    takes_scopes,
)
from secdaemon.pipeline.fixes.configuration.openapi_urls import CLEARTEXT, cleartext, encrypt
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place
from secdaemon.pipeline.fixes.quote import inline

_MAX_SCHEMES = 4
_MAX_KEPT_OPEN = 20


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    description = read_description(text)
    if description is None:
        return ()
    return (
        *_globally_open(description),
        *_open_operations(description),
        *cleartext(description),
        *_weak_schemes(description),
        *_stray_scopes(description),
        *_unbounded(description),
    )


def _weakness(check: str, place: Place, node: Node, weight: float) -> Weakness:
    where = ".".join(place[1:])
    return Weakness(check=check, where=where, line=node.line, end_line=node.end_line, weight=weight)


def _globally_open(description: Description) -> Iterator[Weakness]:
    written = description.root.get("security")
    if is_empty(description.security):
        yield _weakness("global-security", (*ROOT, "security"), written or description.root, 0.8)


def _open_operations(description: Description) -> Iterator[Weakness]:
    for operation in description.operations():
        own = operation.node.get("security")
        asked = operation.security if own is not None else description.security
        if is_empty(asked) and not operation.is_public:
            place = (*operation.place, "security")
            yield _weakness("open-operation", place, own or operation.node, 0.5)


def _weak_schemes(description: Description) -> Iterator[Weakness]:
    """Yield what only the server can change: basic authentication, two flows, keys in addresses."""
    for _, place, scheme in description.schemes:
        said = {
            key: node.value for key in ("type", "scheme", "flow", "in") if (node := scheme.get(key))
        }
        if said.get("type") == "basic" or said.get("scheme", "").lower() == "basic":
            yield _weakness("basic-authentication", place, scheme, 0.4)
        if said.get("type") == "apiKey" and said.get("in") == "query":
            yield _weakness("key-in-address", place, scheme, 0.5)
        flows = scheme.get("flows")
        for flow in ("implicit", "password"):
            if said.get("flow") == flow or (flows and flows.get(flow)):
                yield _weakness(f"{flow}-flow", place, scheme, 0.5)


def _stray_scopes(description: Description) -> Iterator[Weakness]:
    """Yield scopes of schemes that know none: nothing checks them."""
    plain = {name for name, _, scheme in description.schemes if not takes_scopes(scheme)}
    if description.allows_roles:
        return
    for place, requirements in description.requirements():
        for at, requirement in enumerate(requirements.items):
            for key, scopes in requirement.pairs:
                if key.value in plain and scopes.items:
                    yield _weakness("stray-scopes", (*place, str(at), key.value), scopes, 0.2)


def _unbounded(description: Description) -> Iterator[Weakness]:
    for place, schema in mappings(description.root):
        kind, items = schema.get("type"), schema.get("items")
        is_array = kind is not None and kind.kind == "scalar" and kind.value == "array"
        if is_array and items is not None and schema.lookup("maxItems") is None:
            yield _weakness("unbounded-array", place, schema, 0.05)


def _protect_all(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the description with a requirement for every operation, one for each scheme.

    Operations that are public by their path keep what they say now, which is nothing.
    """
    description = read_description(text)
    if description is None:
        return ()
    public = [o for o in description.operations() if o.is_public and o.security is None]
    if len(public) > _MAX_KEPT_OPEN:
        return ()
    repairs = []
    for name in _candidates(description):
        after = documents.put(text, (*ROOT, "security"), [{name: []}], before=("paths",))
        for operation in public:
            after = after and _left_open(after, operation)
        kept = " The operations that precede a sign-in stay open, and say so." if public else ""
        repairs.append(
            (name, after, f"asked of every operation that does not say otherwise.{kept}")
        )
    return _chosen(repairs)


def _left_open(text: str, operation: Operation) -> str | None:
    return documents.put(text, (*operation.place, "security"), [], before=("responses",))


def _protect(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the description with the operation closed like the others, else by a requirement."""
    description = read_description(text)
    places = (
        {}
        if description is None
        else {".".join((*o.place, "security")[1:]): o for o in description.operations()}
    )
    operation = places.get(weakness.where)
    if description is None or operation is None:
        return ()
    place, named = (*operation.place, "security"), _title(operation)
    own = operation.node.get("security")
    if own is None:
        return _protect_all(text, weakness)
    if not is_empty(description.security):
        after = documents.remove(text, place)
        if after is None:
            return ()
        reason = (
            f"Without the empty list {named} asks of its callers what the description asks "
            "everywhere else; it was open to anyone."
        )
        return (Repair(after=after, reason=reason),)
    repairs = [
        (name, documents.put(text, place, [{name: []}]), f"asked of the callers of {named}.")
        for name in _candidates(description)
    ]
    return _chosen(repairs)


def _candidates(description: Description) -> tuple[str, ...]:
    """Return the scheme that all operations with one use, else all that are declared, a few."""
    declared = [name for name, _, _ in description.schemes]
    used = {
        key.value
        for _, requirements in description.requirements()
        for requirement in requirements.items
        for key, _ in requirement.pairs
    }
    if len(used) == 1 and used <= set(declared):
        return tuple(used)
    return tuple(declared) if len(declared) <= _MAX_SCHEMES else ()


def _chosen(repairs: list[tuple[str, str | None, str]]) -> tuple[Repair, ...]:
    return tuple(
        Repair(
            after=after,
            reason=f"The declared scheme {inline(name, 80)} is {what}",
            choice=f"by the scheme {inline(name, 80)}" if len(repairs) > 1 else "",
        )
        for name, after, what in repairs
        if after is not None
    )


def _title(operation: Operation) -> str:
    return inline(f"{operation.key.value.upper()} {operation.path}", 120)


def _drop_scopes(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    description = read_description(text)
    for place, requirements in description.requirements() if description else ():
        for at, requirement in enumerate(requirements.items):
            for key, _ in requirement.pairs:
                inner = (*place, str(at), key.value)
                if ".".join(inner[1:]) == weakness.where:
                    after = documents.rewrite(text, inner, lambda _raw: "[]")
                    reason = (
                        f"{inline(key.value, 80)} is no OAuth scheme and knows no scopes: the list "
                        "promised a check that nothing makes."
                    )
                    return (Repair(after=after, reason=reason),) if after else ()
    return ()


def _bound(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the array bounded where the text itself says by how much: unique words of a list."""
    description = read_description(text)
    for place, schema in mappings(description.root) if description else ():
        if ".".join(place[1:]) != weakness.where:
            continue
        unique, words = schema.get("uniqueItems"), schema.get("items", "enum")
        if unique is None or not unique.is_true or words is None or not words.items:
            return ()
        number = len(words.items)
        after = documents.put(text, (*place, "maxItems"), number, after=("uniqueItems", "items"))
        reason = (
            f"Its items are different ones of {number} words, so that there are never more than "
            f"{number}; a longer list is refused before it is read."
        )
        return (Repair(after=after, reason=reason),) if after else ()
    return ()


def _recognises(path: str, text: str) -> bool:
    return path.lower().endswith((".json", ".yaml", ".yml")) and read_description(text) is not None


KIND = Kind(
    name="OpenAPI",
    language="yaml",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules={
        r"CKV_OPENAPI_4\b|global security field|protection-global": "global-security",
        r"CKV_OPENAPI_5\b|security field on operations|security requirement object .*empty"
        r"|operation.*without security": "open-operation",
        r"CKV_OPENAPI_(7|18|20)\b|no-server-http|no-scheme-http|server.*uses.*http\b"
        r"|schemes uses http": CLEARTEXT,
        r"CKV_OPENAPI_2\b": "stray-scopes",
        r"CKV_OPENAPI_21\b|array-limit|array without maximum": "unbounded-array",
        r"CKV_OPENAPI_(3|13|15)\b|no-http-basic|basic auth": "basic-authentication",
        r"CKV_OPENAPI_(12|14)\b|implicit flow": "implicit-flow",
        r"CKV_OPENAPI_(8|10|11)\b|password flow": "password-flow",
        r"no-api-keys-in-url|api key.*query": "key-in-address",
    },
    mends=guarded(
        _weaknesses,
        {
            "global-security": _protect_all,
            "open-operation": _protect,
            CLEARTEXT: encrypt,
            "stray-scopes": _drop_scopes,
            "unbounded-array": _bound,
        },
    ),
    of_document=frozenset(("global-security",)),
)
"""Rules of Checkov (`checkov/openapi/checks`), Spectral's OWASP set and, by their names, KICS."""
