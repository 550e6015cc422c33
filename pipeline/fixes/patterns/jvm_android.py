"""Android: web views, pending intents and preferences that let more in than the app needs."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    above,
    calls_of,
    function_of,
    inside,
)
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import replaced
from secdaemon.pipeline.routes.syntax import field, text_of

_FILES = (
    "Pages in the web view cannot read the app's files, so a page that is not ours learns nothing "
    "from them."
)
_SETTINGS = {
    "allowFileAccess": _FILES,
    "allowFileAccessFromFileURLs": _FILES,
    "allowUniversalAccessFromFileURLs": (
        "A page from a file cannot read other sites, so one got in cannot use the user's "
        "sessions there."
    ),
    "allowContentAccess": _FILES,
    "savePassword": "The web view keeps no passwords in a database of the app.",
}
_MIXED = "A page over HTTPS loads nothing over HTTP, so nobody on the way can change its scripts."
_PROCEED = (
    "A page whose certificate is not good is not loaded, so nobody between the phone and the "
    "server can pass for it."
)
_IMMUTABLE = (
    "The intent is immutable, so an app that receives it cannot change what it does in our name."
)
_PRIVATE = "The file is the app's own: other apps on the device cannot read or write it."
_DEBUGGABLE = "The web view's content cannot be inspected over USB in a build that users have."
_PENDING = ("getActivity", "getBroadcast", "getService", "getForegroundService")
_WORLD = re.compile(r"(?:\w+\.)*MODE_WORLD_(?:READABLE|WRITEABLE)")
_FLAGS = re.compile(r"0|(?:(?:\w+\.)*FLAG_\w+)(?:\s*(?:or|\|)\s*(?:\w+\.)*FLAG_\w+)*")
_BRANCHES = ("if_expression", "if_statement")
_LOADS_FILES = re.compile(r"(?i)file:///(?!android_(?:asset|res))|load\w*\([^)]*content://")
_FILLED_IN = re.compile(
    r"\b(?:RemoteInput|Geofenc\w+|fillInIntent|setFillInIntent|BubbleMetadata"
    r"|enableForegroundDispatch|requestLocationUpdates|requestActivity\w*Updates)\b"
)
"""What has the system write into the intent, which it has to be able to."""
_FLAG_PLACE = 3


def _settings(code: Code) -> Iterator[Instance]:
    """Settings of a web view, by setter or property."""
    known = _known(code)
    setters = {f"set{name[0].upper()}{name[1:]}": why for name, why in known.items()}
    for call in calls_of(code, *setters):
        given = call.given(0)
        if given is not None and text_of(given) == "true" and call.receiver is not None:
            yield Instance(call.node, (replaced(code, given, "false"),), setters[call.name])
    for node in inside(code.root, "assignment") if code.grammar == "kotlin" else ():
        left, right = text_of(field(node, "left")), field(node, "right")
        name = left.rpartition(".")[2]
        if right is None:
            continue
        if name in known and text_of(right) == "true":
            yield Instance(node, (replaced(code, right, "false"),), known[name])
        if name == "mixedContentMode" and "ALWAYS_ALLOW" in text_of(right):
            yield Instance(node, (_strict(code, right),), _MIXED)
    yield from _switches(code)


def _switches(code: Code) -> Iterator[Instance]:
    """What is loaded over HTTP, and who may look into the page."""
    for call in calls_of(code, "setMixedContentMode"):
        given = call.given(0)
        if given is not None and "ALWAYS_ALLOW" in text_of(given):
            yield Instance(call.node, (_strict(code, given),), _MIXED)
    for call in calls_of(code, "setWebContentsDebuggingEnabled"):
        given = call.given(0)
        if given is not None and text_of(given) == "true" and not _is_for_debugging(call.node):
            yield Instance(call.node, (replaced(code, given, "false"),), _DEBUGGABLE)


def _known(code: Code) -> dict[str, str]:
    """Return the settings and what is won; a view that shows files has to be able to read them."""
    reads = _LOADS_FILES.search(code.text) is not None
    return {name: why for name, why in _SETTINGS.items() if not (reads and why == _FILES)}


def _is_for_debugging(node: Node) -> bool:
    """Whether a line is reached in a build for developers alone."""
    return any("DEBUG" in text_of(each).partition("{")[0] for each in above(node, *_BRANCHES))


def _strict(code: Code, node: Node) -> TextEdit:
    new = text_of(node).replace("MIXED_CONTENT_ALWAYS_ALLOW", "MIXED_CONTENT_NEVER_ALLOW")
    return replaced(code, node, new)


def _proceeding(code: Code) -> Iterator[Instance]:
    """`handler.proceed()` on every certificate error, asked of nobody."""
    for call in calls_of(code, "proceed"):
        function = function_of(call.node)
        if function is None or call.arguments or call.receiver is None:
            continue
        is_error = text_of(field(function, "name")) == "onReceivedSslError"
        is_asked = re.search(r"\bif\b|\bwhen\b|\bswitch\b|Dialog|->", text_of(function))
        if is_error:
            edits = () if is_asked else (replaced(code, call.word, "cancel"),)
            yield Instance(call.node, edits, _PROCEED)


def _pending(code: Code) -> Iterator[Instance]:
    """A pending intent without a word on who may change it."""
    for call in calls_of(code, *_PENDING):
        flags = call.given(_FLAG_PLACE)
        if not call.on.endswith("PendingIntent") or flags is None or _FILLED_IN.search(code.text):
            continue
        said = text_of(flags)
        if "MUTABLE" in said or not _FLAGS.fullmatch(said):
            continue
        flag, joint = f"{call.on}.FLAG_IMMUTABLE", " or " if code.grammar == "kotlin" else " | "
        new = flag if said == "0" else f"{said}{joint}{flag}"
        yield Instance(call.node, (replaced(code, flags, new),), _IMMUTABLE)


def _world(code: Code) -> Iterator[Instance]:
    """Files and preferences that every app may read or write."""
    for call in calls_of(code, "getSharedPreferences", "openFileOutput", "openOrCreateDatabase"):
        for argument in call.arguments:
            said = text_of(argument.value)
            if not _WORLD.fullmatch(said):
                continue
            new = re.sub(r"MODE_WORLD_\w+", "MODE_PRIVATE", said)
            yield Instance(call.node, (replaced(code, argument.value, new),), _PRIVATE)


_WEB = r".*(web-?view|file-access|mixed-content|universal-access|web-?contents-?debug)"

PATTERNS = (
    pattern("android-web-view", _WEB, (749, 200, 919, 319, 489), JVM, _settings),
    pattern(
        "android-certificate-error",
        r".*(ssl-?error|web-?view.*ssl|ssl.*web-?view|ignore-?ssl|certificate)",
        (295,),
        JVM,
        _proceeding,
    ),
    pattern(
        "android-pending-intent",
        r".*(pending-?intent|mutable|implicit-intent)",
        (927, 926, 925),
        JVM,
        _pending,
    ),
    pattern(
        "android-world-readable",
        r".*(world-?(read|writ)|mode-world|shared-?preferences|insecure-(storage|file))",
        (276, 732, 312),
        JVM,
        _world,
    ),
)
