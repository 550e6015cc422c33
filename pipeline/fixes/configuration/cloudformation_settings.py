"""Properties of CloudFormation resources that are to have one value, as data.

Sources: the resource reference of CloudFormation for types, properties and defaults; Checkov
(CKV_AWS_…), Trivy (AVD-AWS-…) and cfn-nag for the rules.
"""

import msgspec

from secdaemon.pipeline.fixes.configuration.yaml_edit import Value


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A property that is insecure when it is missing, or says something else than `value`."""

    check: str
    types: tuple[str, ...]
    """Behind `AWS::`."""
    path: tuple[str, ...]
    value: Value
    rules: str
    """The regular expression of the scanners' rules."""
    reason: str
    weight: float = 0.5
    unless: tuple[str, ...] = ()
    """Properties with which it is decided elsewhere."""
    is_safe_by_default: bool = False
    """Whether it is insecure only when it says so."""


_REPLACED = "CloudFormation replaces the resource for it, so that data are moved over first."

SETTINGS: tuple[Setting, ...] = (
    Setting(
        check="bucket-encryption",
        types=("S3::Bucket",),
        path=("BucketEncryption",),
        value={
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        rules=r"CKV_AWS_19\b|\bAWS-0088\b|^W41\n|s3 bucket.*(sse|encryption)",
        reason="The template itself says that what is put into the bucket is encrypted at rest.",
        weight=0.3,
    ),
    Setting(
        check="bucket-versions",
        types=("S3::Bucket",),
        path=("VersioningConfiguration", "Status"),
        value="Enabled",
        rules=r"CKV_AWS_21\b|\bAWS-0090\b|s3 bucket.*version",
        reason="An object that is overwritten or deleted, by mistake or by an intruder, stays as "
        "an earlier version.",
        weight=0.3,
    ),
    Setting(
        check="database-encryption",
        types=("RDS::DBInstance", "RDS::DBCluster", "DocDB::DBCluster", "Neptune::DBCluster"),
        path=("StorageEncrypted",),
        value=True,
        rules=r"CKV_AWS_(16|44|74|96)\b|\bAWS-00(79|80)\b|^F2[67]\n|(rds|db).*storage.*encrypt",
        reason=f"The database's storage, snapshots and logs are encrypted. {_REPLACED}",
        weight=0.7,
        unless=(
            "DBClusterIdentifier",
            "DBSnapshotIdentifier",
            "SnapshotIdentifier",
            "SourceDBClusterIdentifier",
            "SourceDBInstanceIdentifier",
        ),
    ),
    Setting(
        check="public-database",
        types=("RDS::DBInstance", "Redshift::Cluster", "DMS::ReplicationInstance"),
        path=("PubliclyAccessible",),
        value=False,
        rules=r"CKV_AWS_(17|87|89)\b|\bAWS-0(082|180)\b|^F22\n|publicly accessible",
        reason="It no longer has an address on the internet: only its network reaches it.",
        weight=1.0,
        is_safe_by_default=True,
    ),
    Setting(
        check="warehouse-encryption",
        types=("Redshift::Cluster",),
        path=("Encrypted",),
        value=True,
        rules=r"CKV_AWS_64\b|\bAWS-0084\b|redshift.*encrypt",
        reason="The cluster's blocks and snapshots are encrypted.",
        weight=0.7,
        unless=("SnapshotIdentifier",),
    ),
    Setting(
        check="volume-encryption",
        types=("EC2::Volume",),
        path=("Encrypted",),
        value=True,
        rules=r"CKV_AWS_3\b|\bAWS-0026\b|^F1\n|\bebs\b.*encrypt",
        reason=f"The volume and its snapshots are encrypted. {_REPLACED}",
        weight=0.6,
        unless=("SnapshotId",),
    ),
    Setting(
        check="files-encryption",
        types=("EFS::FileSystem",),
        path=("Encrypted",),
        value=True,
        rules=r"CKV_AWS_42\b|\bAWS-0037\b|^F32\n|\befs\b.*encrypt",
        reason=f"The file system is encrypted at rest. {_REPLACED}",
        weight=0.6,
    ),
    Setting(
        check="key-rotation",
        types=("KMS::Key",),
        path=("EnableKeyRotation",),
        value=True,
        rules=r"CKV_AWS_7\b|\bAWS-0065\b|^F19\n|(kms|cmk|key).*rotation",
        reason="KMS makes new key material every year and keeps the old for what it encrypted.",
        weight=0.4,
        unless=("KeySpec", "KeyUsage", "Origin"),
    ),
    Setting(
        check="trail-validation",
        types=("CloudTrail::Trail",),
        path=("EnableLogFileValidation",),
        value=True,
        rules=r"CKV_AWS_36\b|\bAWS-0016\b|cloudtrail.*log.*validation",
        reason="CloudTrail signs digests of its log files, so that one that is changed or missing "
        "is noticed.",
        weight=0.4,
    ),
    Setting(
        check="trail-regions",
        types=("CloudTrail::Trail",),
        path=("IsMultiRegionTrail",),
        value=True,
        rules=r"CKV_AWS_67\b|\bAWS-0014\b|cloudtrail.*(multi|all).*region",
        reason="Calls in every region are recorded, those in which nobody expects any among them.",
        weight=0.4,
    ),
    Setting(
        check="image-scan",
        types=("ECR::Repository",),
        path=("ImageScanningConfiguration", "ScanOnPush"),
        value=True,
        rules=r"CKV_AWS_163\b|\bAWS-0030\b|\becr\b.*scan",
        reason="Every image is searched for known vulnerabilities when it is pushed.",
        weight=0.3,
    ),
    Setting(
        check="image-tags",
        types=("ECR::Repository",),
        path=("ImageTagMutability",),
        value="IMMUTABLE",
        rules=r"CKV_AWS_51\b|\bAWS-0031\b|\becr\b.*(mutab|tag)",
        reason="A tag that was deployed stays the image that was tested: nobody pushes another "
        "one under its name.",
        weight=0.4,
    ),
    Setting(
        check="instance-metadata",
        types=("EC2::LaunchTemplate",),
        path=("LaunchTemplateData", "MetadataOptions", "HttpTokens"),
        value="required",
        rules=r"CKV_AWS_79\b|\bAWS-0130\b|\bimds|instance metadata",
        reason="Metadata, and with them the role's credentials, are given only for a session "
        "token, which a forged request through the application cannot fetch.",
        weight=0.7,
    ),
    Setting(
        check="instance-metadata",
        types=("AutoScaling::LaunchConfiguration",),
        path=("MetadataOptions", "HttpTokens"),
        value="required",
        rules=r"CKV_AWS_79\b|\bAWS-0130\b|\bimds|instance metadata",
        reason="Metadata, and with them the role's credentials, are given only for a session "
        "token, which a forged request through the application cannot fetch.",
        weight=0.7,
    ),
    Setting(
        check="table-recovery",
        types=("DynamoDB::Table",),
        path=("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"),
        value=True,
        rules=r"CKV_AWS_28\b|\bAWS-0024\b|dynamodb.*(point|recovery|pitr)",
        reason="The table can be restored to any second of the last 35 days.",
        weight=0.3,
    ),
    Setting(
        check="cache-encryption",
        types=("ElastiCache::ReplicationGroup",),
        path=("AtRestEncryptionEnabled",),
        value=True,
        rules=r"CKV_AWS_29\b|\bAWS-0045\b|^F25\n|elasticache.*at.?rest",
        reason=f"What the cache writes to disk is encrypted. {_REPLACED}",
        unless=("SnapshotArns", "SnapshotName"),
    ),
    Setting(
        check="cache-transport",
        types=("ElastiCache::ReplicationGroup",),
        path=("TransitEncryptionEnabled",),
        value=True,
        rules=r"CKV_AWS_30\b|\bAWS-0051\b|^F33\n|elasticache.*transit",
        reason="Clients and nodes of the cache speak TLS; the clients' addresses become `rediss:`.",
    ),
)
