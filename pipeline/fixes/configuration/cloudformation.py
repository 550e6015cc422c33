"""CloudFormation: groups open to the internet, public buckets, what is not encrypted."""

from collections.abc import Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.cloudformation_ingress import (
    OPEN,
    narrow,
    open_ingress,
)
from secdaemon.pipeline.fixes.configuration.cloudformation_settings import SETTINGS, Setting
from secdaemon.pipeline.fixes.configuration.cloudformation_template import (
    Resource,
    of_type,
    read_resources,
    truth,
)
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Mend, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.quote import inline

_BUCKET = "AWS::S3::Bucket"
_BLOCK = "PublicAccessBlockConfiguration"
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_PUBLIC_ACLS = frozenset(("AuthenticatedRead", "PublicRead", "PublicReadWrite"))
_IDENTITY = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    resources = read_resources(text)
    return (
        *open_ingress(resources),
        *_settings(resources),
        *_buckets(resources),
        *_all_powerful(resources),
    )


def _weakness(check: str, resource: Resource, part: str, weight: float) -> Weakness:
    return Weakness(
        check=check,
        where=f"Resources.{resource.name}.{part}",
        line=resource.key.line,
        end_line=resource.node.end_line,
        weight=weight,
    )


def _settings(resources: tuple[Resource, ...]) -> Iterator[Weakness]:
    for setting in SETTINGS:
        for resource in of_type(resources, *(f"AWS::{kind}" for kind in setting.types)):
            if not resource.has(*setting.unless) and _is_weak(resource, setting):
                part = ".".join(setting.path)
                yield _weakness(setting.check, resource, part, setting.weight)


def _is_weak(resource: Resource, setting: Setting) -> bool:
    found = resource.at(*setting.path)
    if found is None:
        return not setting.is_safe_by_default
    if not isinstance(found, Node):
        return False
    if isinstance(setting.value, bool):
        said = truth(found)
        return said is not None and said != setting.value
    return isinstance(setting.value, str) and found.value != setting.value


def _set(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    resources = read_resources(text)
    for setting in (setting for setting in SETTINGS if setting.check == weakness.check):
        for resource in of_type(resources, *(f"AWS::{kind}" for kind in setting.types)):
            if weakness.where == f"Resources.{resource.name}.{'.'.join(setting.path)}":
                after = documents.put(text, (*resource.place, *setting.path), setting.value)
                return _repaired(after, f"{inline(resource.name, 80)}: {setting.reason}")
    return ()


def _buckets(resources: tuple[Resource, ...]) -> Iterator[Weakness]:
    """Yield buckets that a stranger may read or list, but those that serve a website."""
    for bucket in of_type(resources, _BUCKET):
        if _is_published(bucket, resources):
            continue
        if _public_acl(bucket):
            yield _weakness("public-bucket-acl", bucket, "AccessControl", 1.0)
        block = bucket.at(_BLOCK)
        if block is None or (isinstance(block, Node) and any(_open_doors(bucket))):
            yield _weakness("public-access-block", bucket, _BLOCK, 0.6)


def _open_doors(bucket: Resource) -> Iterator[str]:
    """Yield the parts of the block that are missing or false."""
    for name in _BLOCKS:
        said = bucket.at(_BLOCK, name)
        if said is None or (isinstance(said, Node) and truth(said) is False):
            yield name


def _public_acl(bucket: Resource) -> bool:
    acl = bucket.at("AccessControl")
    return isinstance(acl, Node) and acl.value in _PUBLIC_ACLS


def _is_published(bucket: Resource, resources: tuple[Resource, ...]) -> bool:
    """Return whether the template means a bucket to be public: a website, or a policy for all."""
    if bucket.has("WebsiteConfiguration"):
        return True
    policies = of_type(resources, "AWS::S3::BucketPolicy")
    return any(_allows_everyone(policy.at("PolicyDocument")) for policy in policies)


def _allows_everyone(document: object) -> bool:
    for statement in _statements(document):
        effect, principal = statement.get("Effect"), statement.get("Principal")
        named = principal.get("AWS") if principal and principal.pairs else principal
        if effect and effect.value == "Allow" and named and _says(named, "*"):
            return True
    return False


def _block_public_access(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the bucket with the whole block; a public ACL, which it would refuse, goes as well."""
    resources = read_resources(text)
    bucket = next((r for r in resources if weakness.where == f"Resources.{r.name}.{_BLOCK}"), None)
    if bucket is None:
        return ()
    after: str | None = text
    if bucket.at(_BLOCK) is None:
        after = documents.put(text, (*bucket.place, _BLOCK), dict.fromkeys(_BLOCKS, True))
    else:
        for name in _open_doors(bucket):
            after = documents.put(after, (*bucket.place, _BLOCK, name), True) if after else None
    reason = f"No ACL and no policy can open {inline(bucket.name, 80)} to the public any more."
    if after and _public_acl(bucket):
        after = documents.put(after, (*bucket.place, "AccessControl"), "Private")
        reason += " Its public ACL becomes private, since the block refuses it."
    return _repaired(after, reason)


def _close_acl(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    for bucket in of_type(read_resources(text), _BUCKET):
        if weakness.where == f"Resources.{bucket.name}.AccessControl":
            after = documents.put(text, (*bucket.place, "AccessControl"), "Private")
            reason = (
                f"The ACL of {inline(bucket.name, 80)} gives access to its owner alone; whoever "
                "else needs it is named in a policy."
            )
            return _repaired(after, reason)
    return ()


def _all_powerful(resources: tuple[Resource, ...]) -> Iterator[Weakness]:
    """Yield policies that allow every action on everything; what they need is not known here."""
    for policy in of_type(resources, *_IDENTITY):
        for statement in _statements(policy.at("PolicyDocument")):
            effect = statement.get("Effect")
            parts = [statement.get(name) for name in ("Action", "Resource")]
            is_allowed = effect is not None and effect.value == "Allow"
            if is_allowed and all(part is not None and _says(part, "*") for part in parts):
                yield _weakness("all-powerful-policy", policy, "PolicyDocument", 1.0)
                break


def _statements(document: object) -> tuple[Node, ...]:
    """Return the statements of a policy, of which there may be one without a list."""
    found = document.get("Statement") if isinstance(document, Node) else None
    if found is None:
        return ()
    return found.items if found.kind == "sequence" else (found,)


def _says(node: Node, word: str) -> bool:
    return any(item.kind == "scalar" and item.value == word for item in node.items or (node,))


def _repaired(after: str | None, reason: str) -> tuple[Repair, ...]:
    return (Repair(after=after, reason=reason),) if after else ()


def _recognises(path: str, text: str) -> bool:
    is_named = path.lower().endswith((".json", ".template", ".yaml", ".yml"))
    return is_named and bool(read_resources(text))


_RULES = {
    r"customer.managed|\bAWS-0(027|132)\b": "customer-key",
    r"CKV_AWS_31\b|auth token": "cache-token",
    r"CKV_AWS_(24|25|260)\b|\bAWS-0107\b|^W2\n|(exposed|open) to internet|security groups?.*exposed"
    r"|security group.*unrestricted|unrestricted security group|ingress.*(open|world)": OPEN,
    r"CKV_AWS_5[3-6]\b|\bAWS-00(86|87|91|93|94)\b|public access block|allows public (acl|policy)"
    r"|s3.*(block|restrict|ignore).*public": "public-access-block",
    r"CKV_AWS_(20|57)\b|\bAWS-0092\b|^(F14|W31)\n|s3.*acl": "public-bucket-acl",
    r"CKV_AWS_6[23]\b|\bAWS-0057\b|iam.*(full|admin)": "all-powerful-policy",
    **{setting.rules: setting.check for setting in SETTINGS},
}
"""The first two are of a key and a secret that somebody has to make: not ours to choose."""
_MENDS: dict[str, Mend] = {
    OPEN: narrow,
    "public-access-block": _block_public_access,
    "public-bucket-acl": _close_acl,
}

KIND = Kind(
    name="CloudFormation",
    language="yaml",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules=_RULES,
    mends=guarded(
        _weaknesses, _MENDS | dict.fromkeys((setting.check for setting in SETTINGS), _set)
    ),
)
"""Rules of Checkov, Trivy, cfn-nag and, by their names, KICS."""
