"""JavaScript and TypeScript: MongoDB filters in which a caller's object would be an operator."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.script_code import Names, method_of, pairs
from secdaemon.pipeline.fixes.patterns.syntax import arguments, calls, replaced
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import text_of

_FINDS = frozenset(
    (
        "countDocuments",
        "deleteMany",
        "deleteOne",
        "exists",
        "find",
        "findOne",
        "findOneAndDelete",
        "findOneAndUpdate",
        "updateMany",
        "updateOne",
    )
)
_BODY = re.compile(r"(?:req|request)\.(?:body|query)(?:\.\w+|\[['\"]\w+['\"]\])")
_NO_MONGO = frozenset(("where", "include", "attributes"))
"""What the filters of other libraries hold."""


def _filters(code: Code) -> Iterator[Instance]:
    """Yield filters with a value of the request's body or query, which may be an object."""
    if code.whole and not Names(code).has("mongoose", "mongodb"):
        return
    for call in calls(code):
        given = arguments(call)
        if method_of(call) not in _FINDS or not given or given[0].type != "object":
            continue
        entries = list(pairs(given[0]))
        if any(name in _NO_MONGO for name, _, _ in entries):
            continue
        found = [value for _, _, value in entries if _BODY.fullmatch(text_of(value))]
        if found:
            edits = tuple(replaced(code, v, f"{{ $eq: {text_of(v)} }}") for v in found)
            yield Instance(call, edits, _reason(found))


def _reason(found: list[Node]) -> str:
    names = ", ".join(inline(text_of(value), 60) for value in found[:3])
    return (
        f"`$eq` compares with {names} as it is, so that an object such as `{{ $ne: null }}` is no "
        "operator and matches nothing."
    )


PATTERNS = (
    pattern("script-mongo", r".*(no-?sql|mongo|sql-injection)", (943, 89), SCRIPTS, _filters),
)
