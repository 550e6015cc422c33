"""Findings of real rules lead to the right check and, where there is one, to a fix."""

from pathlib import Path

import pytest

from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.fixes.configuration import choose
from secdaemon.pipeline.fixes.model import Fix, Flagged

_SAMPLES = Path(__file__).parent / "samples"
_ANDROID = "app.AndroidManifest.xml"
_NETWORK = "network_security_config.xml"


def fixes(
    sample: str, rule: str, *, on: str = "", name: str = "", lines: int = 1
) -> tuple[Fix, ...]:
    """Return the fixes of a finding of a rule on lines from the one with `on`, else the first."""
    text = (_SAMPLES / sample).read_text(encoding="utf-8")
    path = {"app.AndroidManifest.xml": "app/src/main/AndroidManifest.xml"}.get(sample, sample)
    line = next((n for n, row in enumerate(text.split("\n"), 1) if on and on in row), 1)
    finding = Finding(
        tool="scanner",
        rule=rule,
        rule_name=name or None,
        severity=Severity.MEDIUM,
        message="",
        category=Category.CONFIGURATION,
        path=path,
        line=line,
        end_line=line + lines - 1,
    )
    flagged = Flagged(path=path, text=text, line=line, end_line=line + lines - 1, whole=True)
    return choose.fixes_for(finding, flagged)


@pytest.mark.parametrize(
    ("sample", "rule", "on", "added"),
    [
        (_ANDROID, "java.android.security.exported_activity.exported_activity", ".edit.Edit", 'exported="false"'),
        (_ANDROID, "ExportedService", ".sync.Sync", "permission.SYNC_SERVICE"),
        (_ANDROID, "ExportedReceiver", ".remind.Boot", 'exported="false"'),
        (_ANDROID, "ExportedContentProvider", ".data.Notes", "permission.NOTES_PROVIDER"),
        (_ANDROID, "java/android/implicitly-exported-component", ".import_.", "permission.IMPORT_ACTIVITY"),
        (_ANDROID, "java/android/incomplete-provider-permissions", ".data.Share", "android:writePermission"),
        (_ANDROID, "android_manifest_allow_backup", "", 'allowBackup="false"'),
        (_ANDROID, "AllowBackup", "<application", 'allowBackup="false"'),
        (_ANDROID, "java/android/backup-enabled", "<application", 'allowBackup="false"'),
        (_ANDROID, "android_manifest_usescleartext", "", 'usesCleartextTraffic="false"'),
        (_NETWORK, "android_manifest_base_config_cleartext", "", 'base-config cleartextTrafficPermitted="false"'),
        (_NETWORK, "android_manifest_domain_config_cleartext", "", 'domain-config cleartextTrafficPermitted="false"'),
        (_NETWORK, "android_manifest_domain_config_trust_user_certs", "", '<certificates src="system" />'),
        ("web.xml", "java:S3330", "", "<http-only>true</http-only>"),
        ("web.xml", "tomcat-directory-listing", "", "<param-value>false</param-value>"),
        ("openapi.yaml", "CKV_OPENAPI_4", "", "  - token: []"),
        ("openapi.yaml", "CKV_OPENAPI_2", "", "- token: []"),
        ("openapi.yaml", "CKV_OPENAPI_20", "", "https://api.berths.example"),
        ("swagger.yaml", "CKV_OPENAPI_18", "", "schemes: [https]"),
        ("template.yaml", "CKV_AWS_24", "CidrIp: 0.0.0.0/0   #", "!Ref AllowedCidr"),
        ("template.yaml", "AVD-AWS-0107", "CidrIp: 0.0.0.0/0   #", "!GetAtt Network.CidrBlock"),
        ("template.yaml", "CKV_AWS_21", "Spool:", "Status: Enabled"),
        ("template.yaml", "CKV_AWS_53", "Orders:", "BlockPublicAcls: true"),
        ("template.yaml", "AVD-AWS-0094", "Spool:", "RestrictPublicBuckets: true"),
        ("template.yaml", "CKV_AWS_17", "Ledger:", "PubliclyAccessible: false"),
        ("template.yaml", "CKV_AWS_96", "Archive:", "StorageEncrypted: true"),
        ("template.yaml", "CKV_AWS_7", "Key:", "EnableKeyRotation: true"),
        ("template.yaml", "CKV_AWS_79", "Machine:", "HttpTokens: required"),
        ("template.json", "CKV_AWS_25", '"CidrIp"', '"Ref": "AllowedCidrForIngress"'),
        ("template.json", "CKV_AWS_163", '"Images"', '"ScanOnPush": true'),
        ("profile.html", "python.django.security.django-no-csrf-token.django-no-csrf-token", "url 'profile'", "{% csrf_token %}"),
        ("profile.html", "generic.html-templates.security.unquoted-attribute-var.unquoted-attribute-var", "back_url", '"{{ back_url }}"'),
        ("index.html", "js/unsafe-external-link", "harbour.example", 'rel="noopener"'),
    ],
)  # fmt: skip
def test_a_real_rule_leads_to_a_fix(sample: str, rule: str, on: str, added: str) -> None:
    """Every fix of the rule is told apart, structural and gone afterwards, and one adds this."""
    found = fixes(sample, rule, on=on)
    assert any(added in fix.after and added not in fix.before for fix in found) or any(
        fix.after.count(added) > fix.before.count(added) for fix in found
    )
    for fix in found:
        assert fix.approach == "configuration"
        assert fix.is_weak is not None
        assert fix.is_weak(fix.before)
        assert not fix.is_weak(fix.after)
    assert len({fix.choice for fix in found}) == len(found)


@pytest.mark.parametrize(
    ("sample", "rule", "on"),
    [
        (_ANDROID, "java.android.security.exported_activity.exported_activity", ".list.List"),
        (_ANDROID, "java.android.security.exported_activity.exported_activity", ".share.Link"),
        (_ANDROID, "android_certificate_pinning", ""),
        (_NETWORK, "android_manifest_insecure_minsdk_error", ""),
        ("web.xml", "java:S3330x", ""),
        ("old.web.xml", "java:S3330", ""),
        ("openapi.yaml", "CKV_OPENAPI_3", ""),
        ("swagger.yaml", "CKV_OPENAPI_12", ""),
        ("template.yaml", "CKV_AWS_18", "Spool:"),
        ("template.yaml", "AVD-AWS-0132", "Spool:"),
        ("template.yaml", "CKV_AWS_16", "Ledger:"),
        ("template.json", "CKV_AWS_20", '"Site"'),
        ("template.json", "CKV_AWS_27", '"Waiting"'),
        ("template.json", "CKV_AWS_62", '"Root"'),
        ("index.html", "html.security.audit.missing-integrity.missing-integrity", "map.js"),
        ("package.json", "json.npm.security.package-dependencies-check", '"runner"'),
    ],
)
def test_where_nothing_is_known_there_is_no_fix(sample: str, rule: str, on: str) -> None:
    """What has to stay open, what only a person can decide and unknown rules get no fix."""
    assert fixes(sample, rule, on=on) == ()


def test_names_tell_what_rules_of_kics_are() -> None:
    """KICS has numbers for ids; its names lead to the check."""
    named = "S3 Bucket Without Versioning"
    (fix,) = fixes("template.yaml", "a227ec01-f97a", on="Spool:", name=named)
    assert "Status: Enabled" in fix.after
    assert not fixes("template.yaml", "0", on="Spool:", name="EBS encryption: customer managed key")


def test_one_finding_of_a_group_closes_all_its_ranges() -> None:
    """A finding of a whole security group narrows IPv4 and IPv6 with one parameter each."""
    asked, inside = fixes("template.yaml", "CKV_AWS_24", on="Bastion:", lines=18)
    assert asked.after.count("AllowedCidr:") == asked.after.count("AllowedIpv6Cidr:") == 1
    assert "CidrIp: !Ref AllowedCidr" in asked.after
    assert "CidrIp: !GetAtt Network.CidrBlock" in inside.after
    for fix in (asked, inside):
        assert "CidrIpv6: !Ref AllowedIpv6Cidr" in fix.after
        assert fix.after.count("CidrIp: 0.0.0.0/0") == 2
