"""Java and Kotlin: XML parsers that resolve external entities."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    call_of,
    calls_of,
    declaration_around,
    declared,
    function_of,
    named,
    room_of,
    says,
    uses,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import (
    after,
    asks_for,
    before,
    importing,
    statement_of,
)
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import replaced
from secdaemon.pipeline.routes.syntax import text_of

_DOCTYPE = '"http://apache.org/xml/features/disallow-doctype-decl"'
_CONSTANTS = "javax.xml.XMLConstants"
_FACTORIES: dict[str, tuple[str, ...]] = {
    "DocumentBuilderFactory": (f"setFeature({_DOCTYPE}, true)",),
    "SAXParserFactory": (f"setFeature({_DOCTYPE}, true)",),
    "XMLInputFactory": (
        "setProperty(XMLInputFactory.SUPPORT_DTD, false)",
        "setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false)",
    ),
    "TransformerFactory": (
        'setAttribute(XMLConstants.ACCESS_EXTERNAL_DTD, "")',
        'setAttribute(XMLConstants.ACCESS_EXTERNAL_STYLESHEET, "")',
    ),
}
"""OWASP's XML External Entity Prevention Cheat Sheet."""
_THROWS = {"DocumentBuilderFactory": "newDocumentBuilder", "SAXParserFactory": "newSAXParser"}
"""Factory -> the method that throws what `setFeature` throws, which Java wants declared."""
_DONE = re.compile(
    r"disallow-doctype-decl|FEATURE_SECURE_PROCESSING|external-general-entities|SUPPORT_DTD"
    r"|ACCESS_EXTERNAL|isSupportingExternalEntities|IS_SUPPORTING_EXTERNAL|javax\.xml\.stream\.sup"
)


def _parsers(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "newInstance", "newDefaultInstance", "newFactory"):
        factory = call.on.rpartition(".")[2]
        if factory not in _FACTORIES or call.arguments:
            continue
        if says(room_of(code, call.node), _DONE):
            continue
        yield Instance(call.node, _edits(code, call, factory) or (), _reason(code, factory))


def _reason(code: Code, factory: str) -> str:
    done = {
        "XMLInputFactory": "The factory refuses DTDs and external entities",
        "TransformerFactory": "The factory loads no external DTD and no external stylesheet",
    }.get(factory, "The factory refuses a document with a DOCTYPE")
    needed = asks_for(code, _CONSTANTS) if factory == "TransformerFactory" else ""
    return (
        f"{done}, so a document can no longer have files of the server or addresses of its network "
        f"read into it.{needed}"
    )


def _edits(code: Code, call: Call, factory: str) -> tuple[TextEdit, ...] | None:
    names = (_CONSTANTS,) if factory == "TransformerFactory" else ()
    added = importing(code, *names)
    if added is None:
        return None
    end = ";" if code.grammar == "java" else ""
    declaration = declaration_around(call.node)
    found = declared(code, declaration) if declaration is not None else None
    if declaration is not None and found is not None and statement_of(call.node) == declaration:
        if not _may_throw(code, call, factory, found[0]):
            return None
        lines = [f"{found[0]}.{each}{end}" for each in _FACTORIES[factory]]
        return (after(code, declaration, lines), *added)
    made = _inline(code, call, factory)
    return None if made is None else (*made, *added)


def _inline(code: Code, call: Call, factory: str) -> tuple[TextEdit, ...] | None:
    """Return the edits for a factory that is used where it is made."""
    if code.grammar == "kotlin":
        settings = "; ".join(_FACTORIES[factory])
        new = f"{text_of(call.node)}.apply {{ {settings} }}"
        return (replaced(code, call.node, new),)
    statement = statement_of(call.node)
    user = call_of(call.node.parent)
    needed = _THROWS.get(factory)
    is_used = user is not None and user.receiver == call.node and needed in {None, user.name}
    if statement is None or not is_used or "factory" in named(room_of(code, call.node)):
        return None
    lines = [f"{factory} factory = {text_of(call.node)};"]
    lines += [f"factory.{each};" for each in _FACTORIES[factory]]
    return (before(code, statement, lines), replaced(code, call.node, "factory"))


def _may_throw(code: Code, call: Call, factory: str, name: str) -> bool:
    """Whether the checked exceptions of `setFeature` are thrown at this place already."""
    needed = _THROWS.get(factory)
    if code.grammar == "kotlin" or needed is None:
        return True
    function = function_of(call.node)
    for use in uses(room_of(code, call.node), name):
        user = call_of(use.parent)
        is_maker = user is not None and user.name == needed and user.receiver == use
        if is_maker and function_of(use) == function and _tried(use) == _tried(call.node):
            return True
    return False


def _tried(node: Node) -> Node | None:
    """Return the `try` or lambda around a node in its function."""
    parent = node.parent
    while parent is not None and parent.type not in {"method_declaration", "program"}:
        if parent.type in {"try_statement", "try_with_resources_statement", "lambda_expression"}:
            return parent
        parent = parent.parent
    return None


PATTERNS = (
    pattern(
        "jvm-xml-entities",
        r"xxe|xml-?external|external-entit|(documentbuilder|saxparser|xmlinput|transformer)-?factory"
        r"|document-builder-factory|sax-parser-factory|xml-input-factory|transformer-factory"
        r"|disallow-doctype|unsafe-xml|xml-(parser|decoder|entity)|doctype",
        (611, 827, 776),
        JVM,
        _parsers,
    ),
)
