"""Docker Compose files: what services may do on their host, and what they tell of their passwords.

A mounted Docker socket is reported and not mended: a service that has it mostly is there for it.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec

from secdaemon.pipeline.fixes.configuration.base_images import base_of
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import Document, Node, read_yaml
from secdaemon.pipeline.fixes.configuration.yaml_edit import (
    Place,
    append,
    put,
    remove,
    replace,
)
from secdaemon.pipeline.fixes.quote import inline

PRIVILEGED = "privileged"
NEW_PRIVILEGES = "new-privileges"
READ_ONLY = "writable-root"
ALL_CAPABILITIES = "all-capabilities"
HOST = "host-namespace"
UNCONFINED = "unconfined"
SOCKET = "docker-socket"
OPEN_PORT = "open-database-port"
PASSWORD = "literal-password"  # noqa: S105 - the name of a check

_NO_NEW = "no-new-privileges:true"
_PASSWORD = re.compile(
    r"(?:.*_)?(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|API_KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_FLAG = re.compile(r"(?:true|false|yes|no|on|off|\d{1,2}|)", re.IGNORECASE)
_DATABASE = re.compile(
    r"(?:.*/)?(?:postgres|postgis|mysql|mariadb|mongo|redis|valkey|memcached|elasticsearch|opensearch"
    r"|rabbitmq|cassandra|couchdb|influxdb|mssql/server|etcd|zookeeper|clickhouse-server|timescaledb)"
    r"(?::.*)?"
)
_AGENT = re.compile(
    r"node[-_]exporter|cadvisor|datadog|netdata|telegraf|falco|sysdig|newrelic|filebeat|metricbeat"
    r"|promtail|fluent-?bit|wazuh|crowdsec|portainer/agent"
)
"""What is there to see the host."""
_DATABASE_PORTS = frozenset(
    (1433, 2379, 3306, 5432, 5672, 5984, 6379, 8086, 9042, 9200, 9300, 11211, 15672, 27017)
)
_SHORT_PORT = re.compile(r"(\d{1,5}|\$\{\w+(?::-\d{1,5})?\}):(\d{1,5})(/tcp|/udp)?")
_MAX_SERVICES = 200


class _At(msgspec.Struct, frozen=True):
    """Something of a service: the weakness's key, and the node that shows it."""

    key: str
    node: Node


class _Rule(msgspec.Struct, frozen=True):
    """A check of a service: where it is weak, and how one such place is mended."""

    check: str
    weight: float
    find: Callable[[Node], Iterator[_At]]
    mend: Callable[[str, Node, Place, str], tuple[Repair, ...]] | None


def recognises(path: str, text: str) -> bool:
    """Whether a YAML text has services, one of which has an image or is built."""
    return path.lower().endswith((".yaml", ".yml")) and _read(text) is not None


def _read(text: str) -> Document | None:
    if "services" not in text or "{{" in text:
        return None
    document = read_yaml(text)
    if document is None or len(document.roots) != 1 or document.roots[0].entry("apiVersion"):
        return None
    services = document.roots[0].get("services")
    if services is None or document.roots[0].entry("jobs") or len(services.pairs) > _MAX_SERVICES:
        return None
    is_one = any(node.lookup("image") or node.lookup("build") for _, node in services.pairs)
    return document if is_one else None


@lru_cache(maxsize=8)
def weaknesses(text: str) -> tuple[Weakness, ...]:
    """Return what is insecure in the services, one after the other."""
    document = _read(text)
    if document is None:
        return ()
    return tuple(
        Weakness(
            check=rule.check,
            where=f"services.{key.value}|{found.key}",
            # What a service lacks begins with its name.
            line=key.line if found.node is service else found.node.line,
            end_line=found.node.end_line,
            weight=rule.weight,
        )
        for key, service in _services(document)
        for rule in _RULES
        for found in rule.find(service)
    )


def _services(document: Document) -> Iterator[tuple[Node, Node]]:
    services = document.roots[0].get("services")
    for key, node in services.pairs if services is not None else ():
        if node.kind == "mapping":
            yield key, node


def _mend(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    document = _read(text)
    rule = next((rule for rule in _RULES if rule.check == weakness.check), None)
    if document is None or rule is None or rule.mend is None:
        return ()
    for name, service in _services(document):
        start = f"services.{name.value}|"
        if weakness.where.startswith(start):
            place = ("0", "services", name.value)
            return rule.mend(text, service, place, weakness.where.removeprefix(start))
    return ()


def _privileged(service: Node) -> Iterator[_At]:
    node = service.get("privileged")
    if node is not None and node.is_true:
        yield _At("privileged", node)


def _mend_privileged(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    image = service.lookup("image")
    if image is not None and base_of(image.value).runs_containers:
        return ()
    reason = (
        "A privileged service has the host's devices and all capabilities, which is root on the"
        " host; a single device or capability that it needs goes under `devices` or `cap_add`."
    )
    where = (*place, "privileged")
    # Without its own word a service has that of what it is made from.
    is_own = service.entry("extends") is None and service.entry("<<") is None
    after = remove(text, where) if is_own else None
    return _repairs(after or put(text, where, value=False), reason)


def _options(service: Node) -> tuple[str, ...]:
    node = service.lookup("security_opt")
    return tuple(item.value for item in node.items) if node is not None else ()


def _new_privileges(service: Node) -> Iterator[_At]:
    said = {option.replace("=", ":").replace(" ", "") for option in _options(service)}
    if not said & {_NO_NEW, "no-new-privileges"}:
        yield _At("security_opt", service)


def _mend_new_privileges(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    reason = (
        "A process of the service can then gain no more privileges than it was started with, not by"
        " a set-user-id program either."
    )
    return _repairs(_added(text, service, (*place, "security_opt"), _NO_NEW), reason)


def _added(text: str, service: Node, place: Place, item: str) -> str | None:
    """Add an item to a service's list, and the list where there is none at all."""
    own = service.get(place[-1])
    if own is not None:
        return append(text, place, item)
    return put(text, place, [item]) if service.lookup(place[-1]) is None else None


def _writable(service: Node) -> Iterator[_At]:
    node = service.lookup("read_only")
    if node is None or not node.is_true:
        yield _At("read_only", service)


def _mend_writable(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    """Make the image's files read-only with a scratch directory; not for what writes its own."""
    image = service.lookup("image")
    if image is None or base_of(image.value).needs_root or _DATABASE.fullmatch(image.value):
        return ()
    after = put(text, (*place, "read_only"), value=True)
    if service.lookup("tmpfs") is None:
        after = after and put(after, (*place, "tmpfs"), ["/tmp"])  # noqa: S108 - in a container
    reason = (
        "Code that gets into the container can then not change the program or leave one of its own"
        " in the image's files; `/tmp` stays writable, in memory, and data goes to volumes."
    )
    return _repairs(after, reason)


def _all_capabilities(service: Node) -> Iterator[_At]:
    node = service.get("cap_add")
    for item in node.items if node is not None else ():
        if item.value.upper() in {"ALL", "CAP_ALL"}:
            yield _At("cap_add", item)


def _mend_all(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    node = service.get("cap_add")
    if node is None or len(node.items) != 1:
        return ()
    reason = (
        "`ALL` gives the service every capability of root on the host; without it the runtime's"
        " default ones are left, and one that is missed is added by name."
    )
    return _repairs(remove(text, (*place, "cap_add")), reason)


def _host(service: Node) -> Iterator[_At]:
    for key in ("network_mode", "pid", "ipc", "userns_mode", "uts"):
        node = service.get(key)
        if node is not None and node.value == "host":
            yield _At(key, node)


def _mend_host(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    """Take the line away; of the network only where the ports to publish are named already.

    An agent that watches the host is left alone, and so is what may have it from elsewhere too.
    """
    image = service.lookup("image")
    if image is not None and _AGENT.search(image.value):
        return ()
    if key == "network_mode" and service.get("ports") is None:
        return ()
    if service.entry("extends") is not None or service.entry("<<") is not None:
        return ()
    said = {
        "network_mode": "listen on the host's interfaces and reach services bound to its localhost",
        "pid": "see and signal every process of the host",
        "ipc": "read shared memory of the host's processes",
        "userns_mode": "be the host's root where it is root itself",
        "uts": "change the host's name",
    }[key]
    reason = f"With {inline(f'{key}: host')} the service could {said}; it now has its own."
    return _repairs(remove(text, (*place, key)), reason)


def _unconfined(service: Node) -> Iterator[_At]:
    node = service.get("security_opt")
    for item in node.items if node is not None else ():
        if re.fullmatch(r"(?:seccomp|apparmor)[:=]\s*unconfined|label[:=]\s*disable", item.value):
            yield _At(item.value, item)


def _mend_unconfined(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    node = service.get("security_opt")
    items = node.items if node is not None else ()
    at = next((n for n, item in enumerate(items) if item.value == key), None)
    if at is None:
        return ()
    where = (*place, "security_opt", *((str(at),) if len(items) > 1 else ()))
    reason = (
        f"{inline(key)} switched a confinement of the container off; the runtime's default one"
        " takes away what services do not need and escapes from containers have used."
    )
    return _repairs(remove(text, where), reason)


def _socket(service: Node) -> Iterator[_At]:
    node = service.get("volumes")
    for item in node.items if node is not None else ():
        source = item.get("source")
        said = item.value.partition(":")[0] if source is None else source.value
        if said.endswith("docker.sock"):
            yield _At("volumes", item)


def _open_ports(service: Node) -> Iterator[_At]:
    image, ports = service.lookup("image"), service.get("ports")
    is_database = image is not None and _DATABASE.fullmatch(image.value) is not None
    for item in ports.items if ports is not None else ():
        match = _SHORT_PORT.fullmatch(item.value) if item.kind == "scalar" else None
        if match and (is_database or (image is None and int(match[2]) in _DATABASE_PORTS)):
            yield _At(f"ports.{match[2]}{match[3] or ''}", item)


def _mend_port(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    ports = service.get("ports")
    for at, item in enumerate(ports.items if ports is not None else ()):
        match = _SHORT_PORT.fullmatch(item.value)
        if match is None or f"ports.{match[2]}{match[3] or ''}" != key:
            continue
        said = f'"127.0.0.1:{item.value}"'
        after = replace(text, (*place, "ports", str(at)), said)
        reason = (
            "A published port listens on all interfaces, and Docker opens the host's firewall for"
            f" it; port {inline(match[2])} is now reached from this host alone, and by the other"
            " services over their own network."
        )
        return _repairs(after, reason)
    return ()


def _passwords(service: Node) -> Iterator[_At]:
    node = service.get("environment")
    if node is None:
        return
    for name, value, at in _variables(node):
        if _PASSWORD.fullmatch(name) and "$" not in value and not _FLAG.fullmatch(value):
            yield _At(f"environment.{name}", at)


def _variables(environment: Node) -> Iterator[tuple[str, str, Node]]:
    for key, value in environment.pairs:
        if value.kind == "scalar":
            yield key.value, value.value, value
    for item in environment.items:
        name, is_set, said = item.value.partition("=")
        if is_set:
            yield name, said, item


def _mend_password(text: str, service: Node, place: Place, key: str) -> tuple[Repair, ...]:
    name = key.removeprefix("environment.")
    node = service.get("environment")
    if node is None or not _VARIABLE.fullmatch(name):
        return ()
    reference = f"${{{name}:?}}"
    place = (*place, "environment")
    if node.pairs:
        after = replace(text, (*place, name), f'"{reference}"' if node.is_flow else reference)
    else:
        names = [item.value.partition("=")[0] for item in node.items]
        said = f"{name}={reference}"
        at = str(names.index(name)) if name in names else "-"
        after = replace(text, (*place, at), f'"{said}"' if node.is_flow else said)
    reason = (
        f"The value of {inline(name)} comes from the environment or an `.env` file that is not"
        " committed; without one Compose refuses to start. The old value is in the history and has"
        " to be changed."
    )
    return _repairs(after, reason)


def _repairs(after: str | None, reason: str, choice: str = "") -> tuple[Repair, ...]:
    return () if after is None else (Repair(after=after, reason=reason, choice=choice),)


_RULES = (
    _Rule(PRIVILEGED, 1.0, _privileged, _mend_privileged),
    _Rule(SOCKET, 0.9, _socket, None),
    _Rule(HOST, 0.7, _host, _mend_host),
    _Rule(ALL_CAPABILITIES, 0.8, _all_capabilities, _mend_all),
    _Rule(UNCONFINED, 0.6, _unconfined, _mend_unconfined),
    _Rule(PASSWORD, 0.6, _passwords, _mend_password),
    _Rule(OPEN_PORT, 0.4, _open_ports, _mend_port),
    _Rule(NEW_PRIVILEGES, 0.2, _new_privileges, _mend_new_privileges),
    _Rule(READ_ONLY, 0.1, _writable, _mend_writable),
)

KIND = Kind(
    name="Compose file",
    language="yaml",
    recognises=recognises,
    weaknesses=weaknesses,
    rules={
        r"no-new-privileges|No New Privileges|Security Opt Not Set": NEW_PRIVILEGES,
        r"docker-?socket|Docker Socket": SOCKET,
        r"privileged-service|Privileged Containers": PRIVILEGED,
        r"writable-filesystem|read-?only": READ_ONLY,
        r"seccomp-confinement|selinux-separation|apparmor|unconfined": UNCONFINED,
        r"Host Namespace|Shared Host|network-mode-host|host-network": HOST,
        r"Capabilities Unrestricted|cap-add": ALL_CAPABILITIES,
        r"Not Bound To Host Interface|exposed?-(?:database-)?port": OPEN_PORT,
        r"Passwords And Secrets|hard-?coded-(?:password|secret|credential)": PASSWORD,
        r"CKV_SECRET_|detected-.*(?:password|secret)|generic-(?:password|secret)": PASSWORD,
    },
    mends=guarded(weaknesses, {rule.check: _mend for rule in _RULES if rule.mend is not None}),
)
