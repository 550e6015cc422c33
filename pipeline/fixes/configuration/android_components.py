"""Components of an Android manifest that any other app may start, and the ways to close them.

What has to stay open is no weakness here: the launcher's activity, deep links, share targets and
whatever else the system or other apps call by an action that is not the app's own.
https://developer.android.com/guide/topics/manifest/activity-element#exported
"""

import re
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.fixes.configuration import android_actions as known
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.xml_text import (
    Element,
    add_child,
    read_xml,
    set_attribute,
)
from secdaemon.pipeline.fixes.model import TextEdit, edited
from secdaemon.pipeline.fixes.quote import inline

EXPORTED = "exported-component"
WRITABLE = "provider-permission"

_NAMESPACE = "http://schemas.android.com/apk/res/android"
_ACTIVITIES = ("activity", "activity-alias")
_COMPONENTS = (*_ACTIVITIES, "service", "receiver", "provider")
_SYSTEM = ("android.", "androidx.", "com.android.", "com.google.")
_WEIGHTS = {"provider": 1.0, "service": 0.8, "receiver": 0.6}
_PACKAGE = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")
_CLASS = re.compile(r"[\w.]*?(\w+)")
_LATER = re.compile(r"[$@?]")
"""In what the build or a resource decides."""
_PRIVATE = "for this app alone"
_SIGNED = "for apps signed with the same key"


class Manifest(msgspec.Struct, frozen=True):
    """A manifest: its text, its root and the prefix of the android name space."""

    text: str
    root: Element
    prefix: str

    def get(self, element: Element, name: str) -> str | None:
        """Return an `android:` attribute's value, None where it is missing or unknown."""
        return element.get(f"{self.prefix}:{name}")

    def has(self, element: Element, name: str) -> bool:
        """Return whether an element has an `android:` attribute."""
        return element.attribute(f"{self.prefix}:{name}") is not None

    @property
    def application(self) -> Element | None:
        """The application element, None where there is none or several."""
        found = self.root.named("application")
        return found[0] if len(found) == 1 else None


def read_manifest(text: str) -> Manifest | None:
    """Return the manifest that a text is, None where it is something else."""
    root = read_xml(text) if "<manifest" in text else None
    if root is None or root.name != "manifest":
        return None
    prefixes = (a.name[6:] for a in root.attributes if a.name[:6] == "xmlns:")
    prefix = next((p for p in prefixes if root.get(f"xmlns:{p}") == _NAMESPACE), None)
    return Manifest(text, root, prefix) if prefix else None


def open_components(manifest: Manifest) -> tuple[Weakness, ...]:
    """Return the components that other apps may use without a permission."""
    found = []
    for where, component in _components(manifest):
        check = _check(manifest, component)
        if check:
            found.append(
                Weakness(
                    check=check,
                    where=where,
                    line=component.line,
                    end_line=component.tag_line,
                    weight=_WEIGHTS.get(component.name, 0.5),
                )
            )
    return tuple(found)


def close_component(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the ways to close a component: private, or behind a permission."""
    manifest = read_manifest(text)
    component = dict(_components(manifest)).get(weakness.where) if manifest else None
    if manifest is None or component is None:
        return ()
    actions = _actions(manifest, component)
    if actions is None or not actions:
        return (*_private(manifest, component), *_signed(manifest, component))
    if actions <= known.DELIVERED_TO_PRIVATE.get(component.name, frozenset()):
        return _private(manifest, component, "The system reaches it all the same")
    guards = {known.GUARDS.get(component.name, {}).get(action) for action in actions}
    guard = guards.pop() if len(guards) == 1 else None
    if guard:
        return _guarded(manifest, component, guard)
    return _signed(manifest, component, choice="")


def guard_writes(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the provider with the permission that it names for one access asked for the other."""
    manifest = read_manifest(text)
    provider = dict(_components(manifest)).get(weakness.where) if manifest else None
    if manifest is None or provider is None:
        return ()
    reads, writes = (manifest.get(provider, f"{way}Permission") for way in ("read", "write"))
    permission = reads or writes
    missing = "write" if reads else "read"
    if not permission:
        return ()
    name = f"{manifest.prefix}:{missing}Permission"
    return _repaired(
        text,
        (set_attribute(text, provider, name, permission),),
        f"Asks for {inline(permission)} to {missing} as well: until now any app could {missing} "
        f"what {_name(manifest, provider)} holds.",
    )


def _components(manifest: Manifest) -> Iterator[tuple[str, Element]]:
    """Yield the components with a name for each that edits elsewhere do not change."""
    application = manifest.application
    seen: dict[str, int] = {}
    for component in application.named(*_COMPONENTS) if application else ():
        where = f"{component.name} {manifest.get(component, 'name') or '?'}"
        seen[where] = seen.get(where, 0) + 1
        yield where if seen[where] == 1 else f"{where} #{seen[where]}", component


def _check(manifest: Manifest, component: Element) -> str | None:
    application = manifest.application
    if application is None or component.get("tools:node") in {"remove", "removeAll"}:
        return None
    exported = manifest.get(component, "exported")
    if not manifest.has(component, "exported") and component.name != "provider":
        exported = "true" if component.named("intent-filter") else "false"
    guarded = any(manifest.has(e, "permission") for e in (component, application))
    if exported != "true" or guarded:
        return None
    ways = [manifest.has(component, f"{way}Permission") for way in ("read", "write")]
    if component.name == "provider" and any(ways):
        return None if all(ways) else WRITABLE
    return None if _has_to_stay_open(manifest, component) else EXPORTED


def _has_to_stay_open(manifest: Manifest, component: Element) -> bool:
    actions = _actions(manifest, component)
    if actions is None:
        return True
    categories = _named(manifest, component, "category") or frozenset()
    if component.name in _ACTIVITIES and categories - {known.DEFAULT}:
        return True
    closable = known.DELIVERED_TO_PRIVATE.get(component.name, frozenset())
    guards = known.GUARDS.get(component.name, {})
    if actions and (actions <= closable or (actions <= guards.keys() and len(actions) == 1)):
        return False
    return any(action.startswith(_SYSTEM) for action in actions - {known.MAIN})


def _actions(manifest: Manifest, component: Element) -> frozenset[str] | None:
    """Return the actions that a component answers; None where one of them is not known."""
    return _named(manifest, component, "action")


def _named(manifest: Manifest, component: Element, kind: str) -> frozenset[str] | None:
    elements = [e for f in component.named("intent-filter") for e in f.named(kind)]
    names = [manifest.get(element, "name") or "?" for element in elements]
    return None if any(_LATER.search(name) for name in names) else frozenset(names)


def _private(manifest: Manifest, component: Element, note: str = "") -> tuple[Repair, ...]:
    edit = set_attribute(manifest.text, component, f"{manifest.prefix}:exported", "false")
    reason = f"Other apps can no longer start or reach {_name(manifest, component)}."
    return _repaired(
        manifest.text,
        (edit,),
        f"{reason} {note}." if note else reason,
        "" if note else _PRIVATE,
    )


def _guarded(manifest: Manifest, component: Element, permission: str) -> tuple[Repair, ...]:
    return _repaired(
        manifest.text,
        _behind(manifest, component, permission),
        f"Only callers that hold `{permission}`, which no ordinary app is given, reach "
        f"{_name(manifest, component)}.",
    )


def _signed(manifest: Manifest, component: Element, choice: str = _SIGNED) -> tuple[Repair, ...]:
    permission = _own_permission(manifest, component)
    if permission is None:
        return ()
    edits = _behind(manifest, component, permission)
    name, level = f"{manifest.prefix}:name", f"{manifest.prefix}:protectionLevel"
    declared = [p for p in manifest.root.named("permission") if p.get(name) == permission]
    if any(p.get(level) != "signature" for p in declared):
        return ()
    if not declared:
        closing = " />" if " />" in manifest.text or "/>" not in manifest.text else "/>"
        lines = ("<permission", f'\t{name}="{permission}"', f'\t{level}="signature"{closing}')
        edits = (add_child(manifest.text, manifest.root, lines, _last_above(manifest)), *edits)
    return _repaired(
        manifest.text,
        edits,
        f"{_name(manifest, component)} asks its callers for {inline(permission)}, which the system "
        "gives only to apps signed with the same key.",
        choice,
    )


def _behind(manifest: Manifest, component: Element, permission: str) -> tuple[TextEdit, ...]:
    """Return the edits that ask for a permission, and say outright that it is exported."""
    text, prefix = manifest.text, manifest.prefix
    guard = set_attribute(text, component, f"{prefix}:permission", permission)
    if manifest.has(component, "exported"):
        return (guard,)
    exported = set_attribute(text, component, f"{prefix}:exported", "true")
    return (TextEdit(exported.start, exported.end, exported.text + guard.text),)


def _own_permission(manifest: Manifest, component: Element) -> str | None:
    """Return a permission's name within the app's own name space, after the component's class."""
    package = manifest.root.get("package") or "${applicationId}"
    found = _CLASS.fullmatch(manifest.get(component, "name") or "")
    if found is None or not (_PACKAGE.fullmatch(package) or package == "${applicationId}"):
        return None
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found[1]).upper()
    return f"{package}.permission.{words}"


def _last_above(manifest: Manifest) -> Element | None:
    """Return what a permission's declaration stands behind."""
    kinds = ("permission", "uses-permission")
    above = [e for e in manifest.root.named(*kinds) if e.end < manifest.text.find("<application")]
    return above[-1] if above else None


def _name(manifest: Manifest, component: Element) -> str:
    return f"the {component.name} {inline(manifest.get(component, 'name') or '?', 100)}"


def _repaired(
    text: str, edits: tuple[TextEdit, ...], reason: str, choice: str = ""
) -> tuple[Repair, ...]:
    after = edited(text, edits)
    if after is None or read_manifest(after) is None:
        return ()
    return (Repair(after=after, reason=reason[:1].upper() + reason[1:], choice=choice),)
