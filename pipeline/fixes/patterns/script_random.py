"""JavaScript and TypeScript: numbers that can be guessed, and comparisons that tell by time."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import bindings
from secdaemon.pipeline.fixes.patterns.script_code import Names, method_of, owner_of
from secdaemon.pipeline.fixes.patterns.syntax import (
    SECRET_WORDS,
    arguments,
    around,
    calls,
    quote_in,
    replaced,
    words_in,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_BROWSER = re.compile(
    r"\b(document|window|localStorage|sessionStorage)\.|from ['\"](react|vue|@angular)"
)
_DRAW = re.compile(r"Math\.random\(\)\s*\*\s*(?P<most>\d+|[A-Za-z_$][\w$.]*|\([^()]*\))")
_SHIFTED = re.compile(r"(?P<least>\d+)\s*\+\s*Math\.random\(\)\s*\*\s*(?P<range>\d+)")
_TEXT = re.compile(
    r"Math\.random\(\)\s*\.toString\((36|16)\)\s*(\.(slice|substring|substr)\(-?\d*\)\s*)?"
)
_FUNCTIONS = ("function_declaration", "method_definition", "arrow_function", "function_expression")


def _guessable(code: Code) -> Iterator[Instance]:
    """Yield draws of `Math.random` whose value is called a token, a code, a session or the like."""
    names = Names(code)
    is_browser = bool(_BROWSER.search(code.text))
    added = () if is_browser else names.adding("crypto", "crypto")
    needs = "" if code.whole or is_browser else " The module needs `crypto` of Node."
    for call in calls(code):
        text = text_of(call)
        new = _drawn(call, text, is_browser=is_browser)
        if new is None or not _is_secret(call):
            continue
        reason = (
            f"{inline(new, 60)} draws from a generator made for secrets; what `Math.random()` "
            f"gives next can be computed from what it gave before.{needs}"
        )
        edits = () if added is None else (replaced(code, call, new), *added)
        yield Instance(call, edits, reason)


def _drawn(call: Node, text: str, *, is_browser: bool) -> str | None:
    """Return the expression in the place of a draw; None where the call is none."""
    if _TEXT.fullmatch(text):
        parent = call.parent
        is_longer = parent is not None and parent.type == "member_expression"
        return None if is_longer else "crypto.randomUUID()"
    given = arguments(call)
    if owner_of(call) != "Math" or method_of(call) not in {"floor", "trunc"} or len(given) != 1:
        return None
    inner = text_of(given[0])
    if is_browser:
        return None
    if shifted := _SHIFTED.fullmatch(inner):
        least = int(shifted["least"][:12])
        return f"crypto.randomInt({least}, {least + int(shifted['range'][:12])})"
    drawn = _DRAW.fullmatch(inner)
    if drawn is None:
        return None
    most = drawn["most"]
    return f"crypto.randomInt({most[1:-1] if most.startswith('(') else most})"


def _is_secret(call: Node) -> bool:
    """Return whether what the value becomes, or the function that makes it, is called a secret."""
    holder = around(call, "variable_declarator", "assignment_expression", "pair")
    target = None
    if holder is not None:
        target = next((n for p in ("name", "left", "key") if (n := field(holder, p))), None)
    function = around(call, *_FUNCTIONS)
    named = text_of(field(function, "name")) if function is not None else ""
    if function is not None and not named and function.parent is not None:
        named = text_of(field(function.parent, "name"))
    return bool(SECRET_WORDS.search(words_in(text_of(target), named)))


def _timing(code: Code) -> Iterator[Instance]:
    """Yield digests of `crypto` that are compared by `===` and `!==`."""
    names = Names(code)
    added = names.adding("crypto", "crypto")
    needs = "" if code.whole else " The module needs `crypto` of Node."
    for node in within(code.root, "binary_expression"):
        operator = text_of(field(node, "operator"))
        left, right = field(node, "left"), field(node, "right")
        if operator not in {"==", "===", "!=", "!=="} or left is None or right is None:
            continue
        if left.type != "identifier" or right.type != "identifier":
            continue
        if not any(_is_digest(code, side) for side in (left, right)):
            continue
        reason = (
            "`crypto.timingSafeEqual` takes equally long wherever the two differ, so that a "
            f"signature cannot be guessed byte by byte.{needs}"
        )
        sides = (right, left) if _is_digest(code, left) else (left, right)
        edits = () if added is None else (*_compared(code, node, sides), *added)
        yield Instance(node, edits, reason)


def _compared(code: Code, node: Node, sides: tuple[Node, Node]) -> tuple[TextEdit, ...]:
    given, mac = map(text_of, sides)
    quote = quote_in(code)
    # What is missing, or as long in letters and not in bytes, is no reason to throw.
    new = (
        f"typeof {given} === {quote}string{quote} && "
        f"Buffer.byteLength({given}) === {mac}.length && "
        f"crypto.timingSafeEqual(Buffer.from({given}), Buffer.from({mac}))"
    )
    is_not = text_of(field(node, "operator")).startswith("!")
    is_alone = node.parent is not None and node.parent.type == "parenthesized_expression"
    new = f"!({new})" if is_not else new if is_alone else f"({new})"
    return (replaced(code, node, new),)


def _is_digest(code: Code, side: Node) -> bool:
    """Return whether a variable is assigned once, a digest of `createHmac`."""
    text = text_of(bindings(code, side).only(text_of(side)))
    return "createHmac(" in text and bool(re.search(r"\.digest\(['\"]\w+['\"]\)\Z", text))


PATTERNS = (
    pattern("script-random", r".*random", (330, 331, 338), SCRIPTS, _guessable),
    pattern("script-timing", r".*timing", (203, 208, 385), SCRIPTS, _timing),
)
