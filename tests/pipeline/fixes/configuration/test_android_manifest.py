"""Which components of an Android manifest are open, and how each is closed."""

import pytest

from secdaemon.pipeline.fixes.configuration.android_manifest import KIND
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness

_FILTER = "<intent-filter>{}</intent-filter>"
_ACTION = '<action android:name="{}"/>'
_CATEGORY = '<category android:name="android.intent.category.{}"/>'


def manifest(body: str, *, package: str = ' package="org.sample"', application: str = "") -> str:
    """Return a manifest with these components."""
    return (
        f'<manifest xmlns:android="http://schemas.android.com/apk/res/android"{package}>\n'
        f"    <application{application}>\n        {body}\n    </application>\n</manifest>\n"
    )


def component(kind: str, *names: str, attributes: str = ' android:exported="true"') -> str:
    """Return a component `.Part` whose filter has these actions and categories."""
    inner = "".join(
        _CATEGORY.format(name) if name.isupper() and "." not in name else _ACTION.format(name)
        for name in names
    )
    filters = _FILTER.format(inner) if names else ""
    return f'<{kind} android:name=".Part"{attributes}>{filters}</{kind}>'


def found(text: str) -> tuple[Weakness, ...]:
    """Return the weaknesses of components."""
    return tuple(w for w in KIND.weaknesses(text) if not w.where.startswith("application"))


def ways(text: str) -> tuple[Repair, ...]:
    """Return the ways to mend the one weakness of a component."""
    (weakness,) = found(text)
    return KIND.mends[weakness.check](text, weakness)


@pytest.mark.parametrize(
    "body",
    [
        component("activity", "android.intent.action.MAIN", "LAUNCHER"),
        component("activity-alias", "android.intent.action.MAIN", "LAUNCHER"),
        component("activity", "android.intent.action.MAIN", "LEANBACK_LAUNCHER"),
        component("activity", "android.intent.action.MAIN", "HOME", "DEFAULT"),
        component("activity", "android.intent.action.VIEW", "BROWSABLE", "DEFAULT"),
        component("activity", "org.sample.OPEN", "BROWSABLE"),
        component("activity", "android.intent.action.SEND", "DEFAULT"),
        component("activity", "android.intent.action.PROCESS_TEXT", "DEFAULT"),
        component("activity", "android.appwidget.action.APPWIDGET_CONFIGURE"),
        component("activity", "${action}"),
        component("service", "android.media.browse.MediaBrowserService"),
        component("receiver", "android.intent.action.MEDIA_BUTTON"),
        component("activity", attributes=""),
        component("activity", attributes=' android:exported="false"'),
        component("activity", attributes=' android:exported="@bool/open"'),
        component("activity", attributes=' android:exported="true" android:permission="a.B"'),
        component("service", "org.sample.GO", attributes=' android:exported="false"'),
        component("provider", attributes=""),
        component("provider", attributes=' android:exported="true" android:permission="a.B"'),
        component("activity", attributes=' android:exported="true" tools:node="remove"'),
    ],
)  # fmt: skip
def test_what_has_to_stay_open_or_is_closed_is_no_weakness(body: str) -> None:
    """Launchers, links, share targets, the system's own callers, and what is private already."""
    assert found(manifest(body)) == ()


def test_a_permission_of_the_application_guards_all() -> None:
    """Components take the application's permission where they name none."""
    body = component("service")
    assert len(found(manifest(body))) == 1
    assert found(manifest(body, application=' android:permission="a.B"')) == ()


def test_what_nobody_names_is_private_or_for_the_same_key() -> None:
    """Without a filter there are two ways, and the permission is declared above."""
    private, signed = ways(manifest(component("activity")))
    assert 'android:exported="false"' in private.after
    assert (private.choice, signed.choice) == (
        "for this app alone",
        "for apps signed with the same key",
    )
    assert '.Part" android:exported="true" android:permission="org.sample.permission.PART">' in (
        signed.after
    )
    declared = signed.after.index('android:name="org.sample.permission.PART"')
    assert declared < signed.after.index("<application")
    assert signed.after.count('android:protectionLevel="signature"') == 1


@pytest.mark.parametrize(
    ("body", "added"),
    [
        (component("receiver", "android.intent.action.BOOT_COMPLETED"), 'exported="false"'),
        (component("receiver", "android.appwidget.action.APPWIDGET_UPDATE"), 'exported="false"'),
        (component("service", "com.google.firebase.MESSAGING_EVENT"), 'exported="false"'),
        (component("service", "android.net.VpnService"), "android.permission.BIND_VPN_SERVICE"),
        (component("service", "android.view.InputMethod"), "android.permission.BIND_INPUT_METHOD"),
        (component("receiver", "android.provider.Telephony.SMS_RECEIVED"), "permission.BROADCAST_SMS"),
        (component("provider", "android.content.action.DOCUMENTS_PROVIDER"), "MANAGE_DOCUMENTS"),
        (component("activity", "org.sample.OPEN", "DEFAULT"), "org.sample.permission.PART"),
        (component("receiver", "org.sample.GO", attributes=""), "org.sample.permission.PART"),
    ],
)  # fmt: skip
def test_what_the_system_or_the_family_calls_has_one_way(body: str, added: str) -> None:
    """System broadcasts reach private receivers; the system's services have its permission."""
    (way,) = ways(manifest(body))
    assert way.choice == ""
    assert added in way.after
    if "permission" in added:
        assert 'android:exported="true"' in way.after


def test_a_permission_that_is_there_is_used_and_never_weakened() -> None:
    """A permission of that name at signature level is not declared twice; a weaker one is no way."""
    for level, number in (("signature", 2), ("normal", 1)):
        declared = f'<permission android:name="org.sample.permission.PART" android:protectionLevel="{level}"/>'
        text = manifest(component("service")).replace("    <app", f"    {declared}\n    <app", 1)
        assert len(ways(text)) == number
        assert all(way.after.count("<permission ") == 1 for way in ways(text))


def test_without_a_package_the_build_names_it() -> None:
    """A manifest of today has no package: the placeholder of the build stands for it."""
    signed = ways(manifest(component("service"), package=""))[1]
    assert "${applicationId}.permission.PART" in signed.after


def test_the_other_half_of_a_provider_is_guarded() -> None:
    """A provider that asks for a permission to read asks for it to write."""
    guarded = ' android:exported="true" android:readPermission="a.READ"'
    (way,) = ways(manifest(component("provider", attributes=guarded)))
    assert 'android:writePermission="a.READ"' in way.after


@pytest.mark.parametrize(
    ("application", "checks"),
    [
        (' android:label="x"', ["backup"]),
        (' android:label="x" android:allowBackup="false"', []),
        (' android:label="x" android:allowBackup="true" android:dataExtractionRules="@xml/r"', []),
        ("", []),
        (' android:debuggable="true" android:testOnly="true"', ["debuggable", "test-only"]),
        (' android:usesCleartextTraffic="true"', ["cleartext"]),
        (' android:usesCleartextTraffic="${plain}" android:debuggable="@bool/d"', []),
    ],
)
def test_settings_of_the_application(application: str, checks: list[str]) -> None:
    """Backup is on unless an app says no or rules it; what the build decides is not judged."""
    text = manifest("", application=application)
    weak = KIND.weaknesses(text)
    assert [w.check for w in weak] == checks
    for weakness in weak:
        (way,) = KIND.mends[weakness.check](text, weakness)
        assert weakness not in KIND.weaknesses(way.after)


def test_debuggable_is_left_to_the_build() -> None:
    """The attribute goes, with the space before it."""
    text = manifest("", application=' android:debuggable="true" android:name=".App"')
    (weakness,) = KIND.weaknesses(text)
    (way,) = KIND.mends["debuggable"](text, weakness)
    assert way.after == text.replace(' android:debuggable="true"', "")


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("app/src/main/AndroidManifest.xml", True),
        ("AndroidManifest.xml", True),
        ("app/src/debug/AndroidManifest.xml", False),
        ("app/src/androidTest/AndroidManifest.xml", False),
        ("manifest.json", False),
    ],
)
def test_what_is_not_shipped_is_not_judged(path: str, known: bool) -> None:
    """Manifests of debug builds and of tests may be open."""
    assert KIND.recognises(path, manifest("")) is known


def test_the_prefix_is_the_name_spaces() -> None:
    """A manifest may call Android's name space as it likes; without it nothing is known."""
    text = manifest(component("service")).replace("android:", "a:").replace(":android=", ":a=")
    assert 'a:exported="false"' in ways(text)[0].after
    assert found(text.replace("apk/res/android", "apk/res/other")) == ()
