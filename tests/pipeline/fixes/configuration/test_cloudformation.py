"""CloudFormation: open ranges become parameters, and functions are never evaluated."""

import json
import re

import pytest

from secdaemon.pipeline.fixes.configuration.cloudformation import KIND
from secdaemon.pipeline.fixes.configuration.cloudformation_ingress import _FAMILIES
from secdaemon.pipeline.fixes.configuration.cloudformation_settings import SETTINGS, Setting
from secdaemon.pipeline.fixes.configuration.model import Repair
from secdaemon.pipeline.fixes.configuration.yaml_document import read_yaml


def template(kind: str, properties: str = "") -> str:
    """Return a template with one resource `It`; properties are lines."""
    lines = "".join(f"      {line}\n" for line in properties.split("\n") if line)
    return f"Resources:\n  It:\n    Type: AWS::{kind}\n" + (
        f"    Properties:\n{lines}" if lines else ""
    )


def rule(ports: str = "FromPort: 22, ToPort: 22", cidr: str = "CidrIp: 0.0.0.0/0") -> str:
    """Return a security group with one rule."""
    inner = f"IpProtocol: tcp, {ports}, {cidr}" if "IpProtocol" not in ports else f"{ports}, {cidr}"
    return template("EC2::SecurityGroup", f"SecurityGroupIngress:\n  - {{{inner}}}")


def checks(text: str) -> list[str]:
    """Return the checks that find something."""
    return [weakness.check for weakness in KIND.weaknesses(text)]


def ways(text: str, check: str) -> tuple[Repair, ...]:
    """Return the ways to mend the first weakness of a check."""
    weakness = next(w for w in KIND.weaknesses(text) if w.check == check)
    return KIND.mends[check](text, weakness)


@pytest.mark.parametrize(
    ("ports", "cidr", "is_open"),
    [
        ("FromPort: 22, ToPort: 22", "CidrIp: 0.0.0.0/0", True),
        ('FromPort: "3389", ToPort: "3389"', 'CidrIp: "0.0.0.0/0"', True),
        ("FromPort: 0, ToPort: 65535", "CidrIpv6: '::/0'", True),
        ("FromPort: 79, ToPort: 81", "CidrIp: 0.0.0.0/0", True),
        ('IpProtocol: "-1"', "CidrIp: 0.0.0.0/0", True),
        ("IpProtocol: -1", "CidrIpv6: '0:0:0:0:0:0:0:0/0'", True),
        ("FromPort: 443, ToPort: 443", "CidrIp: 0.0.0.0/0", False),
        ("FromPort: 80, ToPort: 80", "CidrIp: 0.0.0.0/0", False),
        ("IpProtocol: icmp, FromPort: -1, ToPort: -1", "CidrIp: 0.0.0.0/0", False),
        ("FromPort: !Ref Port, ToPort: 22", "CidrIp: 0.0.0.0/0", False),
        ("FromPort: 22, ToPort: 22", "CidrIp: 192.0.2.0/24", False),
        ("FromPort: 22, ToPort: 22", "CidrIp: !Ref Range", False),
        ("FromPort: 22, ToPort: 22", "CidrIp: !Sub 0.0.0.0/0", False),
        ("FromPort: 22, ToPort: 22", "CidrIp: {Ref: Range}", False),
        ("FromPort: 22, ToPort: 22", "SourceSecurityGroupId: sg-1", False),
    ],
)
def test_which_ranges_are_open(ports: str, cidr: str, is_open: bool) -> None:
    """The whole internet on anything but the web's own ports; what a function decides is unknown."""
    text = rule(ports, cidr)
    assert ("open-ingress" in checks(text)) is is_open
    if is_open:
        (way,) = ways(text, "open-ingress")
        assert "open-ingress" not in checks(way.after)
        root = read_yaml(way.after).roots[0]  # type: ignore[union-attr]
        (name,) = [key.value for key, _ in root.get("Parameters").pairs]  # type: ignore[union-attr]
        assert f"!Ref {name}" in way.after
        assert root.get("Parameters", name, "Default") is None


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [
        ("192.0.2.0/24", True),
        ("10.0.0.0/8", True),
        ("198.51.100.7/32", True),
        ("0.0.0.0/0", False),
        ("0.0.0.0/1", False),
        ("192.0.2.0", False),
        ("192.0.2.0/33", False),
    ],
)
def test_the_parameters_pattern_refuses_the_internet(address: str, is_taken: bool) -> None:
    """What the parameter takes is a range, and none as wide as half of the internet."""
    assert (re.search(_FAMILIES[0].pattern, address) is not None) is is_taken


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [("2001:db8::/32", True), ("2001:db8::1/128", True), ("::/0", False), ("2000::/3", False)],
)
def test_so_does_that_of_ipv6(address: str, is_taken: bool) -> None:
    """No more than a provider's allocation."""
    assert (re.search(_FAMILIES[1].pattern, address) is not None) is is_taken


def test_a_network_of_the_template_is_a_choice() -> None:
    """A group in the template's only network may be opened to that alone."""
    text = rule().replace(
        "      SecurityGroupIngress", "      VpcId: !Ref Net\n      SecurityGroupIngress"
    )
    text += "  Net:\n    Type: AWS::EC2::VPC\n    Properties:\n      CidrBlock: 10.0.0.0/16\n"
    asked, inside = ways(text, "open-ingress")
    assert "!Ref AllowedCidr" in asked.after
    assert inside.after == text.replace("CidrIp: 0.0.0.0/0", "CidrIp: !GetAtt Net.CidrBlock")
    assert len(ways(text.replace("!Ref Net", "!Ref Other"), "open-ingress")) == 1


def test_our_own_parameter_serves_twice_and_anothers_never() -> None:
    """A second rule takes the parameter of the first; one with a default is somebody else's."""
    first = ways(rule(), "open-ingress")[0].after
    second = ways(first.replace("!Ref AllowedCidr", "0.0.0.0/0"), "open-ingress")[0].after
    assert second.count("AllowedPattern") == 1
    taken = "Parameters:\n  AllowedCidr: {Type: String, Default: 0.0.0.0/0}\n" + rule()
    assert "!Ref AllowedCidrForIngress" in ways(taken, "open-ingress")[0].after


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.check)
@pytest.mark.parametrize("language", ["yaml", "json"])
def test_every_setting_is_missed_set_and_left(setting: Setting, language: str) -> None:
    """A property that is missing or wrong is set, and one that a function decides is left."""
    for kind in setting.types:
        bare = template(kind, "Name: x")
        wrong = not setting.value
        nested = {"Properties": {"Name": "x"}}
        if setting.is_safe_by_default:
            nested["Properties"][setting.path[0]] = wrong
            bare = template(kind, f"Name: x\n{setting.path[0]}: {str(wrong).lower()}")
        resource = {"Resources": {"It": {"Type": f"AWS::{kind}", **nested}}}
        text = bare if language == "yaml" else json.dumps(resource, indent=4)
        (way,) = ways(text, setting.check)
        assert setting.check not in checks(way.after)
        assert "Name" in way.after
        unknown = template(kind, f"{setting.path[0]}: !If [A, true, false]")
        assert setting.check not in checks(unknown)
        for name in setting.unless:
            assert setting.check not in checks(template(kind, f"{name}: x"))


_CLOSED = (
    "{BlockPublicAcls: true, BlockPublicPolicy: True, IgnorePublicAcls: 'true', "
    "RestrictPublicBuckets: true}"
)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("", {"public-access-block"}),
        ("AccessControl: PublicRead", {"public-access-block", "public-bucket-acl"}),
        ("AccessControl: PublicRead\nWebsiteConfiguration: {}", set()),
        ("AccessControl: Private", {"public-access-block"}),
        ("PublicAccessBlockConfiguration: !Ref Block", set()),
        ("PublicAccessBlockConfiguration: {BlockPublicAcls: true}", {"public-access-block"}),
        (f"PublicAccessBlockConfiguration: {_CLOSED}", set()),
    ],
)  # fmt: skip
def test_public_buckets(properties: str, expected: set[str]) -> None:
    """A bucket is closed unless it serves a website; the block takes a public ACL with it."""
    text = template("S3::Bucket", properties)
    found = {check for check in checks(text) if check.startswith("public")}
    assert found == expected
    for check in found:
        (way,) = ways(text, check)
        assert "PublicRead" not in way.after
        assert check not in checks(way.after)


def test_a_policy_for_everyone_means_it() -> None:
    """A bucket policy that allows all the world is a decision, which a block would undo."""
    policy = (
        "  Open:\n    Type: AWS::S3::BucketPolicy\n    Properties:\n      PolicyDocument:\n"
        "        Statement: [{Effect: Allow, Principal: '*', Action: s3:GetObject, Resource: x}]\n"
    )
    assert "public-access-block" not in checks(template("S3::Bucket") + policy)
    assert "public-access-block" in checks(
        template("S3::Bucket") + policy.replace("'*'", "{AWS: a}")
    )


@pytest.mark.parametrize(
    ("statement", "is_weak"),
    [
        ("{Effect: Allow, Action: '*', Resource: '*'}", True),
        ("[{Effect: Allow, Action: ['*'], Resource: ['*']}]", True),
        ("[{Effect: Deny, Action: '*', Resource: '*'}]", False),
        ("[{Effect: Allow, Action: 's3:*', Resource: '*'}]", False),
    ],
)
def test_policies_that_allow_all_are_told(statement: str, is_weak: bool) -> None:
    """What a role needs is not known here: such a policy has no mend."""
    text = template("IAM::Policy", f"PolicyDocument: {{Statement: {statement}}}")
    assert checks(text) == (["all-powerful-policy"] if is_weak else [])
    assert "all-powerful-policy" not in KIND.mends


@pytest.mark.parametrize(
    ("path", "text", "known"),
    [
        ("a.yaml", template("SNS::Topic"), True),
        ("a.template", template("SNS::Topic"), True),
        ("a.json", '{"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}', True),
        ("a.json", '{"Resources": {"A": {"Type": "Custom::X"}}, "b": "AWS::"}', False),
        ("a.yaml", "kind: Pod\nspec: AWS::x\n", False),
        ("a.tf", template("SNS::Topic"), False),
    ],
)
def test_a_template_is_known_by_its_resources(path: str, text: str, known: bool) -> None:
    """A resource of AWS makes a document a template."""
    assert KIND.recognises(path, text) is known
