"""AndroidManifest.xml: components open to other apps, backup, debugging, cleartext traffic."""

import re
from functools import lru_cache

import msgspec

from secdaemon.pipeline.fixes.configuration.android_components import (
    EXPORTED,
    WRITABLE,
    Manifest,
    close_component,
    guard_writes,
    open_components,
    read_manifest,
)
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Mend, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.xml_text import drop_attribute, set_attribute
from secdaemon.pipeline.fixes.model import edited

_NOT_SHIPPED = re.compile(r"(^|/)src/(\w*debug|\w*test)/", re.IGNORECASE)
_OF_AN_APP = ("icon", "label")
_OWN_RULES = ("dataExtractionRules", "fullBackupContent", "backupAgent")


class _Setting(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute of the application that is insecure when it is true."""

    attribute: str
    reason: str
    weight: float
    is_dropped: bool = False
    """Whether it is taken out rather than set to false, the build deciding it."""


_SETTINGS = {
    "debuggable": _Setting(
        attribute="debuggable",
        reason=(
            "Without `android:debuggable` the build type decides: debug builds stay debuggable, "
            "and nobody attaches a debugger to the released app."
        ),
        weight=1.0,
        is_dropped=True,
    ),
    "test-only": _Setting(
        attribute="testOnly",
        reason=(
            "Without `android:testOnly` the app is no longer marked as one for tests, whose "
            "guards the system lifts; a test build is marked by the build itself."
        ),
        weight=0.5,
        is_dropped=True,
    ),
    "cleartext": _Setting(
        attribute="usesCleartextTraffic",
        reason=(
            "With `android:usesCleartextTraffic` set to false the platform's HTTP stacks refuse "
            "requests without TLS, which anyone on the path could read and change."
        ),
        weight=0.8,
    ),
    "backup": _Setting(
        attribute="allowBackup",
        reason=(
            "With `android:allowBackup` set to false the app's private files are copied neither "
            "to a cloud backup nor over adb."
        ),
        weight=0.4,
    ),
}


def _recognises(path: str, text: str) -> bool:
    if _NOT_SHIPPED.search(path) or not path.lower().endswith(".xml"):
        return False
    return read_manifest(text) is not None


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    manifest = read_manifest(text)
    if manifest is None or manifest.application is None:
        return ()
    application = manifest.application
    settings = tuple(
        Weakness(
            check=check,
            where=f"application {setting.attribute}",
            line=application.line,
            end_line=application.tag_line,
            weight=setting.weight,
        )
        for check, setting in _SETTINGS.items()
        if _is_weak(manifest, setting)
    )
    return (*settings, *open_components(manifest))


def _is_weak(manifest: Manifest, setting: _Setting) -> bool:
    """Return whether a setting is true; backup is so by default, where the app rules none of it."""
    application = manifest.application
    assert application is not None
    value = manifest.get(application, setting.attribute)
    if setting.attribute != "allowBackup":
        return value == "true"
    if any(manifest.has(application, name) for name in _OWN_RULES):
        return False
    is_app = any(manifest.has(application, name) for name in _OF_AN_APP)
    return value == "true" or (is_app and not manifest.has(application, setting.attribute))


def _set(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    manifest, setting = read_manifest(text), _SETTINGS[weakness.check]
    if manifest is None or manifest.application is None:
        return ()
    name = f"{manifest.prefix}:{setting.attribute}"
    found = manifest.application.attribute(name)
    if setting.is_dropped:
        edits = (drop_attribute(text, found),) if found else ()
    else:
        edits = (set_attribute(text, manifest.application, name, "false"),)
    after = edited(text, edits)
    if after is None or read_manifest(after) is None:
        return ()
    return (Repair(after=after, reason=setting.reason),)


_MENDS: dict[str, Mend] = {EXPORTED: close_component, WRITABLE: guard_writes}

KIND = Kind(
    name="Android manifest",
    language="xml",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules={
        r"incomplete-provider-permissions": WRITABLE,
        r"exported[_-]?(activity|component|content|preference|provider|receiver|service)"
        r"|IntentFilterExportedReceiver|\bxml:S5594\b": EXPORTED,
        r"allow[_-]?backup|backup-enabled|\bxml:S6358\b": "backup",
        r"debuggable|HardcodedDebugMode|manifest_debugging_enabled|\bxml:S4507\b": "debuggable",
        r"uses[_-]?cleartext|manifest_usescleartext|\bxml:S5332\b": "cleartext",
        r"manifest_test_only": "test-only",
    },
    mends=guarded(_weaknesses, _MENDS | dict.fromkeys(_SETTINGS, _set)),
    of_document=frozenset(_SETTINGS),
)
"""Rules of Semgrep, mobsfscan, Android lint, CodeQL and SonarQube."""
