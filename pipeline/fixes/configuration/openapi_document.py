"""An OpenAPI description (2.0 and 3.x, JSON or YAML): its schemes, its operations, its arrays."""

import re
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place

_METHODS = frozenset(("delete", "get", "patch", "post", "put", "trace"))
_PUBLIC = re.compile(
    r"^/?$|\.well-known|(^|[/._-])(api-?docs|assertions?|attestations?|auth|authenticate|authorize"
    r"|begin|callback|challenges?|docs|finish|forgot|health|healthcheck|healthz|jwks|livez|liveness"
    r"|log-?in|oauth2?|oidc|openapi|options|passkeys?|password|ping|public|readyz|readiness"
    r"|refresh|register|registration|reset|session|sessions|sign-?in|sign-?up|sso|start|status"
    r"|swagger|token|verify|version|webauthn|webhooks?)($|[/._-])",
    re.IGNORECASE,
)
"""Paths that are open on purpose: what comes before a sign-in, probes, documentation, callbacks."""
_WITH_SCOPES = frozenset(("oauth2", "openIdConnect"))


class Operation(msgspec.Struct, frozen=True, eq=False):
    """An operation, and what it asks of callers by itself."""

    path: str
    place: Place
    key: Node
    node: Node
    security: Node | None

    @property
    def is_public(self) -> bool:
        """Whether its path says that anyone may call it."""
        return _PUBLIC.search(self.path) is not None


class Description(msgspec.Struct, frozen=True, eq=False):
    """A description; `version` is 2 or 3."""

    root: Node
    version: int
    schemes: tuple[tuple[str, Place, Node], ...]
    """The security schemes that it declares: name, place, definition."""

    @property
    def security(self) -> Node | None:
        """What every operation asks of callers unless it says so itself."""
        return self.root.lookup("security")

    @property
    def allows_roles(self) -> bool:
        """Whether a requirement may name roles for any scheme, as since 3.1."""
        stated = self.root.get("openapi")
        return stated is not None and not re.match(r"3\.0\b", stated.value)

    def operations(self) -> Iterator[Operation]:
        """Yield the operations that are written out here, in order."""
        paths = self.root.get("paths")
        for key, item in paths.pairs if paths else ():
            for method, node in item.pairs:
                if method.value in _METHODS and node.kind == "mapping":
                    place = (*ROOT, "paths", key.value, method.value)
                    yield Operation(key.value, place, method, node, node.lookup("security"))

    def requirements(self) -> Iterator[tuple[Place, Node]]:
        """Yield every list of security requirements with its place."""
        own = self.root.get("security")
        if own is not None:
            yield (*ROOT, "security"), own
        for operation in self.operations():
            written = operation.node.get("security")
            if written is not None:
                yield (*operation.place, "security"), written


def read_description(text: str) -> Description | None:
    """Return the description that a text is, None where it is something else."""
    if "openapi" not in text and "swagger" not in text:
        return None
    root = documents.root_of(text)
    if root is None:
        return None
    version = _version(root)
    at = ("components", "securitySchemes") if version == 3 else ("securityDefinitions",)  # noqa: PLR2004
    if version is None or root.get("paths") is None:
        return None
    declared = root.get(*at)
    schemes = tuple(
        (key.value, (*ROOT, *at, key.value), node)
        for key, node in (declared.pairs if declared else ())
        if node.kind == "mapping"
    )
    return Description(root, version, schemes)


def is_empty(security: Node | None) -> bool:
    """Return whether nothing is asked of a caller; False for what is not written as a list."""
    return (
        security is None or security.is_null or (security.kind == "sequence" and not security.items)
    )


def takes_scopes(scheme: Node) -> bool:
    """Return whether a scheme knows scopes; True for one of an unknown type."""
    kind = scheme.get("type")
    return kind is None or kind.value in _WITH_SCOPES


def mappings(node: Node) -> Iterator[tuple[Place, Node]]:
    """Yield every mapping below a node with its place, aliases not followed."""
    waiting: list[tuple[Place, Node]] = [(ROOT, node)]
    while waiting:
        place, found = waiting.pop()
        if found.kind == "mapping":
            yield place, found
        below = [((*place, key.value), value) for key, value in found.pairs]
        below += [((*place, str(at)), item) for at, item in enumerate(found.items)]
        waiting += reversed(below)


def _version(root: Node) -> int | None:
    new, old = root.get("openapi"), root.get("swagger")
    if new is not None and new.kind == "scalar" and new.value.startswith("3."):
        return 3
    return 2 if old is not None and old.kind == "scalar" and old.value in {"2.0", "2"} else None
