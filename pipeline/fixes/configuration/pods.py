"""The pods and containers of Kubernetes manifests, each with its place in the text."""

import re
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.fixes.configuration.base_images import Base, base_of
from secdaemon.pipeline.fixes.configuration.yaml_document import (
    Document,
    Node,
    read_yaml,
    scalars,
)
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, node_at

_TEMPLATE = ("spec", "template", "spec")
_PATHS: dict[str, Place] = {
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "DaemonSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "Job": _TEMPLATE,
    "Pod": ("spec",),
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
}
_AS_ROOT = re.compile(
    r"(?<![\w-])(?:adduser|apk|apt-get|chgrp|chown|gosu|iptables|mknod|mount|setcap|su-exec|sudo"
    r"|sysctl|useradd|yum)(?![\w-])"
)
_LISTS = ("containers", "initContainers")
_PRIVILEGED_PORT = 1024
SECURITY = "securityContext"


class Container(msgspec.Struct, frozen=True):
    """A container of a pod."""

    name: str
    node: Node
    place: Place

    def setting(self, *keys: str) -> Node | None:
        """Return what its security context says."""
        return _deep(self.node, (SECURITY, *keys))

    @property
    def base(self) -> Base:
        """What is known of its image."""
        image = self.node.get("image")
        return base_of(image.value if image is not None else "")

    @property
    def low_ports(self) -> tuple[int, ...]:
        """The ports that it listens on and that only root may open on many nodes."""
        ports = self.node.get("ports")
        given = (item.get("containerPort") for item in (ports.items if ports is not None else ()))
        numbers = (int(port.value) for port in given if port is not None and port.value.isdecimal())
        return tuple(number for number in numbers if number < _PRIVILEGED_PORT)

    @property
    def is_root_by_default(self) -> bool:
        """Whether its image is a public one that names no other user."""
        return self.base.family != "unknown" and not self.base.is_unprivileged

    @property
    def is_privileged(self) -> bool:
        """Whether it has all of the node's devices and capabilities."""
        node = self.setting("privileged")
        return node is not None and node.is_true

    @property
    def is_root_needed(self) -> bool:
        """Whether its image or its command is made to be root."""
        said = (self.node.get(key) for key in ("command", "args"))
        words = (word.value for node in said if node is not None for _, word in scalars(node))
        return self.base.needs_root or any(map(_AS_ROOT.search, words))


class Pod(msgspec.Struct, frozen=True):
    """A pod's specification."""

    name: str
    """Such as `Deployment/web`, with its namespace where it has one."""
    kind: str
    node: Node
    place: Place
    line: int
    """Of the key `spec` that it stands under, which scanners name for all of its containers."""
    document: Node
    """The root of the document that it is in."""
    containers: tuple[Container, ...]

    def setting(self, *keys: str) -> Node | None:
        """Return what its security context says."""
        return _deep(self.node, (SECURITY, *keys))


class Manifests(msgspec.Struct, frozen=True):
    """A text that has at least one pod."""

    document: Document
    pods: tuple[Pod, ...]


def read_pods(text: str) -> Manifests | None:
    """Return the pods of a text, None where it has none, is a template or gives a name twice."""
    if "{{" in text or "apiVersion" not in text:
        return None
    document = read_yaml(text)
    if document is None:
        return None
    pods = tuple(_pods(document))
    names = {(pod.name, each.name) for pod in pods for each in pod.containers}
    is_clear = len(names) == sum(len(pod.containers) for pod in pods) > 0
    return Manifests(document, pods) if is_clear else None


def _pods(document: Document) -> Iterator[Pod]:
    for at, root in enumerate(document.roots):
        kind = root.get("kind")
        is_api = kind is not None and root.entry("apiVersion") is not None
        path: Place = _PATHS.get(kind.value, ()) if kind is not None and is_api else ()
        place = (str(at), *path)
        node = node_at(document, place) if path else None
        if kind is None or node is None or node.kind != "mapping":
            continue
        names = (root.get("metadata", "namespace"), root.get("metadata", "name"))
        name = "/".join((kind.value, *(n.value for n in names if n is not None)))
        containers = tuple(_containers(node, place))
        # Without an image it is a patch of a pod that stands elsewhere: what it lacks is there.
        if containers and all(each.node.entry("image") for each in containers):
            above = node_at(document, place[:-1])
            entry = above.entry(place[-1]) if above is not None else None
            line = entry[0].line if entry else node.line
            yield Pod(name, kind.value, node, place, line, root, containers)


def _containers(pod: Node, place: Place) -> Iterator[Container]:
    for key in _LISTS:
        found = pod.get(key)
        for at, node in enumerate(found.items if found is not None else ()):
            name = node.get("name")
            if node.kind == "mapping":
                said = name.value if name is not None else str(at)
                yield Container(f"{key}.{said}", node, (*place, key, str(at)))


def _deep(node: Node, keys: Place) -> Node | None:
    """Return the node at a path, aliases followed."""
    found: Node | None = node
    for key in keys:
        found = found.lookup(key) if found is not None else None
    return found
