"""Security groups of a CloudFormation template that let the whole internet in.

Which addresses are to be let in is not known here. The template asks for them instead: a parameter
without a default, whose pattern refuses a range that is the internet again.
"""

from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.cloudformation_template import (
    Resource,
    is_function,
    of_type,
    read_resources,
)
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, Value
from secdaemon.pipeline.fixes.quote import inline

OPEN = "open-ingress"

_GROUP = "AWS::EC2::SecurityGroup"
_RULE = "AWS::EC2::SecurityGroupIngress"
_VPC = "AWS::EC2::VPC"
_WEB = frozenset((80, 443))
_ICMP = frozenset(("1", "58", "icmp", "icmpv6"))
_ASKED = "for a range that whoever deploys names"
_INSIDE = "for the network's own addresses"


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    """A family of addresses: the property, what means all of them, the parameter."""

    key: str
    world: str
    parameter: str
    pattern: str
    example: str


_FAMILIES = (
    _Family(
        key="CidrIp",
        world="0.0.0.0/0",
        parameter="AllowedCidr",
        pattern="^([0-9]{1,3}[.]){3}[0-9]{1,3}/([89]|[12][0-9]|3[0-2])$",
        example="an IPv4 range of at most /8, such as 192.0.2.0/24",
    ),
    _Family(
        key="CidrIpv6",
        world="::/0",
        parameter="AllowedIpv6Cidr",
        pattern="^[0-9a-fA-F:]+/(3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-8])$",
        example="an IPv6 range of at most /32, such as 2001:db8::/32",
    ),
)


class _Entry(msgspec.Struct, frozen=True, eq=False):
    """A range of an ingress rule that is the whole internet."""

    place: Place
    family: _Family
    rule: Node
    resource: Resource


def open_ingress(resources: tuple[Resource, ...]) -> tuple[Weakness, ...]:
    """Return the rules that let any address in, but those for HTTP and HTTPS alone.

    Those of IPv4 come first: they are the ones with a choice.
    """
    return tuple(
        Weakness(
            check=OPEN,
            where=".".join(entry.place[1:]),
            line=entry.rule.line,
            end_line=entry.rule.end_line,
            weight=1.0,
        )
        for entry in sorted(_entries(resources), key=lambda entry: entry.family.key)
    )


def narrow(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the template with a parameter for the range, and with the network's own range."""
    resources = read_resources(text)
    entry = next((e for e in _entries(resources) if ".".join(e.place[1:]) == weakness.where), None)
    if entry is None:
        return ()
    asked = _asked(text, entry)
    vpc = _vpc(resources, entry)
    if vpc is None or asked is None:
        return (asked,) if asked else ()
    after = _set(text, entry.place, f"!GetAtt {vpc}.CidrBlock", {"Fn::GetAtt": [vpc, "CidrBlock"]})
    reason = (
        f"{_ports(entry.rule)} answers inside {inline(vpc, 80)} alone, and no longer to anyone."
    )
    inside = Repair(after=after, reason=reason, choice=_INSIDE) if after else None
    return (msgspec.structs.replace(asked, choice=_ASKED), inside) if inside else (asked,)


def _asked(text: str, entry: _Entry) -> Repair | None:
    family = entry.family
    name = _parameter(text, family)
    if name is None:
        return None
    written: str | None = text
    if documents.root_of(text) is not None and not _is_declared(text, name):
        declared: dict[str, Value] = {
            "Type": "String",
            "Description": f"Addresses that may connect: {family.example}",
            "AllowedPattern": family.pattern,
        }
        place = (*ROOT, "Parameters", name)
        written = documents.put(text, place, declared, before=("Resources",))
    after = _set(written, entry.place, f"!Ref {name}", {"Ref": name}) if written else None
    if after is None:
        return None
    reason = (
        f"{_ports(entry.rule)} answers only to addresses that the parameter {inline(name)} names; "
        "it has no default and its pattern refuses a range as wide as the internet."
    )
    return Repair(after=after, reason=reason)


def _set(text: str, place: Place, short: str, long: Value) -> str | None:
    """Put a function where a range stands, in the form that suits the language."""
    if documents.is_json(text):
        return documents.put(text, place, long)
    return documents.rewrite(text, place, lambda _raw: short)


def _parameter(text: str, family: _Family) -> str | None:
    """Return a parameter's name: our own one of before, or one that nothing has yet."""
    root = documents.root_of(text)
    for name in (family.parameter, f"{family.parameter}ForIngress"):
        taken = root is not None and any(
            (part := root.get(section)) is not None and part.entry(name) is not None
            for section in ("Parameters", "Resources")
        )
        if not taken or _is_ours(text, name, family):
            return name
    return None


def _is_declared(text: str, name: str) -> bool:
    root = documents.root_of(text)
    return root is not None and root.get("Parameters", name) is not None


def _is_ours(text: str, name: str, family: _Family) -> bool:
    root = documents.root_of(text)
    found = root.get("Parameters", name) if root else None
    pattern, default = (found.get(k) if found else None for k in ("AllowedPattern", "Default"))
    return pattern is not None and pattern.value == family.pattern and default is None


def _entries(resources: tuple[Resource, ...]) -> Iterator[_Entry]:
    for resource in of_type(resources, _RULE):
        properties = resource.node.get("Properties")
        if properties is not None:
            yield from _ranges(resource, resource.place, properties)
    for resource in of_type(resources, _GROUP):
        rules = resource.at("SecurityGroupIngress")
        if not isinstance(rules, Node):
            continue
        for at, rule in enumerate(rules.items):
            yield from _ranges(resource, (*resource.place, "SecurityGroupIngress", str(at)), rule)


def _ranges(resource: Resource, place: Place, rule: Node) -> Iterator[_Entry]:
    if rule.kind != "mapping" or is_function(rule) or not _is_sensitive(rule):
        return
    for family in _FAMILIES:
        node = rule.get(family.key)
        if node is not None and node.kind == "scalar" and not is_function(node):
            address, _, size = node.value.strip().partition("/")
            is_all = size == "0" and not set(address) - set("0.:")
            if is_all:
                yield _Entry((*place, family.key), family, rule, resource)


def _is_sensitive(rule: Node) -> bool:
    """Return whether a rule opens more than the ports of the web; an unknown port is not told."""
    protocol = rule.get("IpProtocol")
    if protocol is None or protocol.kind != "scalar" or is_function(protocol):
        return False
    if protocol.value == "-1":
        return True
    ports = _range(rule)
    if protocol.value.lower() in _ICMP or ports is None:
        return False
    return not (len(ports) <= len(_WEB) and set(ports) <= _WEB)


def _range(rule: Node) -> range | None:
    """Return the ports of a rule, None where they are missing or a function decides them."""
    ends = [rule.get(name) for name in ("FromPort", "ToPort")]
    numbers = [
        int(end.value)
        for end in ends
        if end is not None and end.kind == "scalar" and not is_function(end)
        if end.value.isdecimal() and len(end.value) < 6  # noqa: PLR2004 - 65535 has five digits
    ]
    return range(numbers[0], numbers[1] + 1) if len(numbers) == len(ends) else None


def _ports(rule: Node) -> str:
    ports = _range(rule)
    protocol = rule.get("IpProtocol")
    if ports is None or not ports or protocol is None or protocol.value == "-1":
        return "Every port"
    if len(ports) == 1:
        return f"Port {ports[0]}"
    return f"Each of the ports {ports[0]} to {ports[-1]}"


def _vpc(resources: tuple[Resource, ...], entry: _Entry) -> str | None:
    """Return the one network of the template, where the group is in it and IPv4 is asked for."""
    networks = [resource.name for resource in of_type(resources, _VPC)]
    group = entry.resource.node.get("Properties", "VpcId")
    if len(networks) != 1 or group is None or entry.family.key != "CidrIp":
        return None
    named = group.get("Ref") or (group if group.tag == "!Ref" else None)
    return networks[0] if named is not None and named.value == networks[0] else None
