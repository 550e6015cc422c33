"""JavaScript and TypeScript: text that becomes markup, a format or code by mistake."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.script_code import (
    Names,
    dotted_name,
    method_of,
    owner_of,
    pairs,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    around,
    calls,
    indent_of,
    inserted,
    replaced,
    words_in,
)
from secdaemon.pipeline.fixes.patterns.templates import literal, template_of
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_PLAIN = re.compile(
    r"(?<![a-z])(name|title|message|msg|text|error|err|label|user(name)?|e-?mail|count|total"
    r"|status|id|query|search|term|keyword|nick(name)?|date|time|score|price|amount|reason|city)"
    r"(?![a-z])"
)
_MARKUP = re.compile(
    r"(?<![a-z])(html?|markup|template|render\w*|svg|sanit\w*|purify|escape\w*|marked|markdown|body"
    r"|content|icon|rows?|list|items?|options|join|map)(?![a-z])"
)
_REQUEST = re.compile(r"(req|request)\.(params|query|body)\b")
_PRINTS = frozenset(("debug", "error", "info", "log", "trace", "warn"))
_TEXT_REASON = (
    "The value is set as text, so that markup in it is shown and nothing of it runs as a script."
)


def _is_text(code: Code, node: Node) -> bool:
    """Return whether a value is visibly plain text: no tag in it, and called what text is called.

    What cannot be told is no text; HTML that was meant would be shown as its source otherwise.
    """
    template = template_of(code, node)
    if template is None:
        return False
    if not template.values or any("<" in text or "&" in text for text in template.texts):
        return False
    if any(value.type not in {"identifier", "member_expression"} for value in template.values):
        return False
    about = [words_in(text_of(value)) for value in template.values]
    return all(_PLAIN.search(words) and not _MARKUP.search(words) for words in about)


def _is_text_value(code: Code, node: Node) -> bool:
    if node.type in {"identifier", "member_expression"}:
        words = words_in(dotted_name(node).rpartition(".")[2])
        return bool(_PLAIN.search(words)) and not _MARKUP.search(words_in(text_of(node)))
    return node.type in {"template_string", "binary_expression"} and _is_text(code, node)


def _inner_html(code: Code) -> Iterator[Instance]:
    """Yield plain text that is written as HTML."""
    for node in within(code.root, "assignment_expression"):
        left, right = field(node, "left"), field(node, "right")
        name = field(left, "property") if left is not None else None
        if name is None or right is None or text_of(name) != "innerHTML":
            continue
        if right.type in {"string", "number"}:
            continue
        edits = (replaced(code, name, "textContent"),) if _is_text_value(code, right) else ()
        yield Instance(node, edits, _TEXT_REASON)
    for call in calls(code):
        yield from _html_call(code, call)


def _html_call(code: Code, call: Node) -> Iterator[Instance]:
    given, called = arguments(call), field(call, "function")
    name = field(called, "property") if called is not None else None
    if called is None or name is None or not given or given[-1].type == "string":
        return
    method, owner, is_text = text_of(name), owner_of(call), _is_text_value(code, given[-1])
    new = None
    if method == "insertAdjacentHTML" and len(given) > 1:
        new = (name, "insertAdjacentText")
    elif method == "html" and owner.startswith("$") and len(given) == 1:
        new = (name, "text")
    elif owner == "document" and method in {"write", "writeln"} and len(given) == 1:
        new = (called, "document.body.append")
    if new is not None:
        yield Instance(call, (replaced(code, *new),) if is_text else (), _TEXT_REASON)


def _dangerous(code: Code) -> Iterator[Instance]:
    """Yield React's `dangerouslySetInnerHTML`; cleaned where DOMPurify is imported already."""
    names = Names(code)
    purify = next(
        (name for name in ("DOMPurify", "dompurify", "purify") if names.is_bound(name)), None
    )
    for node in within(code.root, "jsx_attribute", "pair"):
        first = next(iter(node.named_children), None)
        if text_of(first) != "dangerouslySetInnerHTML":
            continue
        values = [v for each in within(node, "object") for k, _, v in pairs(each) if k == "__html"]
        if len(values) != 1 or "sanitize(" in text_of(values[0]):
            continue
        reason = (
            "DOMPurify takes scripts and event handlers out of the markup before React inserts it."
        )
        edits = (
            ()
            if purify is None
            else (replaced(code, values[0], f"{purify}.sanitize({text_of(values[0])})"),)
        )
        yield Instance(node, edits, reason)


def _formats(code: Code) -> Iterator[Instance]:
    """Yield `console.log` whose first argument has values in it although more arguments follow."""
    for call in calls(code):
        given = arguments(call)
        if owner_of(call) != "console" or method_of(call) not in _PRINTS or len(given) < 2:  # noqa: PLR2004
            continue
        template = template_of(code, given[0])
        if template is None or not template.values or given[0].type == "identifier":
            continue
        texts = [text.replace("%", "%%") for text in template.texts]
        text = literal(code, "%s".join(texts), template.quote)
        has_verbs = any(re.search(r"%[sdifjoOc]", each) for each in template.texts)
        names = ", ".join(inline(text_of(value), 60) for value in template.values[:3])
        values = ", ".join(map(text_of, template.values))
        is_simple = text is not None and not has_verbs and "\n" not in values
        reason = (
            f"The format is a constant now; a `%s` or `%o` in the value of {names} is printed and "
            "takes none of the other arguments."
        )
        edits = (replaced(code, given[0], f"{text}, {values}"),) if is_simple else ()
        yield Instance(call, edits, reason)


def _evaluated(code: Code) -> Iterator[Instance]:
    """Yield `eval("(" + text + ")")`, which is how JSON was read before `JSON.parse`."""
    for call in calls(code):
        given = arguments(call)
        if text_of(field(call, "function")) != "eval" or len(given) != 1:
            continue
        template = template_of(code, given[0])
        is_json = template is not None and template.texts == ("(", ")")
        value = text_of(template.values[0]) if template is not None and is_json else ""
        reason = "`JSON.parse` reads the data and runs nothing of it."
        yield Instance(
            call, (replaced(code, call, f"JSON.parse({value})"),) if value else (), reason
        )


def _paths(code: Code) -> Iterator[Instance]:
    """Yield a path that a handler joins to a folder with what the request names."""
    names = Names(code)
    for node in within(code.root, "variable_declarator"):
        call, name = field(node, "value"), field(node, "name")
        if call is None or name is None or name.type != "identifier" or node.parent is None:
            continue
        origin = names.of(field(call, "function"))
        given = arguments(call)
        if origin not in {"path.join", "path.resolve"} or len(given) < 2:  # noqa: PLR2004
            continue
        request = _REQUEST.match(text_of(given[-1]))
        answer = _answer_of(node)
        if request is None or answer is None:
            continue
        if f"{text_of(name)}.startsWith(" in text_of(around(node, "statement_block")):
            continue
        module = text_of(field(call, "function")).rpartition(".")[0]
        base, path = _folder(call), text_of(name)
        indent = indent_of(code, node.parent)
        end = ";" if text_of(node.parent).endswith(";") else ""
        guard = (
            f"\n{indent}if (!{path}.startsWith({module}.resolve({base}) + {module}.sep)) {{"
            f"\n{indent}  {answer}.sendStatus(404){end}\n{indent}  return{end}\n{indent}}}"
        )
        resolved = f"{module}.resolve({text_of(call)})" if origin == "path.join" else text_of(call)
        edits = (
            *((replaced(code, call, resolved),) if origin == "path.join" else ()),
            inserted(code, node.parent.end_byte, guard),
        )
        reason = (
            f"The resolved path has to lie below {inline(base, 60)}; a `..` in "
            f"{inline(text_of(given[-1]), 60)} that leads out of it is answered with 404."
        )
        is_led = any(_REQUEST.match(text_of(each)) for each in given[:-1])
        is_plain = module and node.parent.named_child_count == 1 and not is_led
        yield Instance(node, edits if is_plain else (), reason)


def _sent_files(code: Code) -> Iterator[Instance]:
    """Yield Express's `sendFile` of a joined path, which has an option for the folder."""
    names = Names(code)
    for call in calls(code):
        given = arguments(call)
        if method_of(call) != "sendFile" or not given or len(given) > 2:  # noqa: PLR2004
            continue
        joined = arguments(given[0]) if given[0].type == "call_expression" else []
        called = field(given[0], "function")
        if names.of(called) not in {"path.join", "path.resolve"} or len(joined) < 2:  # noqa: PLR2004
            continue
        if joined[-1].type in {"string", "spread_element"} or given[-1].type == "object":
            continue
        root = _folder(given[0])
        new = f"{text_of(joined[-1])}, {{ root: {root} }}"
        reason = (
            f"With `root` Express refuses a name that leads out of {inline(root, 60)} before it "
            "opens anything."
        )
        yield Instance(call, (replaced(code, given[0], new),), reason)


def _folder(call: Node) -> str:
    """Return the folder that a call joins a name to."""
    parts = [text_of(each) for each in arguments(call)[:-1]]
    called = text_of(field(call, "function"))
    return parts[0] if len(parts) == 1 else f"{called}({', '.join(parts)})"


def _answer_of(node: Node) -> str | None:
    """Return the name of the response in the Express handler around a node."""
    function = around(
        node, "arrow_function", "function_expression", "function_declaration", "method_definition"
    )
    listed = field(function, "parameters") if function is not None else None
    names = [text_of(each) for each in within(listed, "identifier")] if listed is not None else []
    return next((name for name in ("res", "response") if name in names), None)


PATTERNS = (
    pattern(
        "script-inner-html",
        r".*(inner-?html|outer-?html|xss|document-(write|method)|insecure-document|jquery|unsanitized)",
        (79, 80, 116),
        SCRIPTS,
        _inner_html,
    ),
    pattern("script-dangerous-html", r".*(dangerously|xss)", (79,), SCRIPTS, _dangerous),
    pattern("script-format", r".*format-?string", (134,), SCRIPTS, _formats),
    pattern("script-eval", r".*(eval|code-inject)", (94, 95), SCRIPTS, _evaluated),
    pattern("script-send-file", r".*(send-?file|path|traversal)", (22, 73), SCRIPTS, _sent_files),
    pattern("script-paths", r".*(path|traversal|filename|lfr)", (22, 23, 73), SCRIPTS, _paths),
)
