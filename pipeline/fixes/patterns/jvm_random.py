"""Java and Kotlin: values that others must not guess, made by a generator that can be guessed."""

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
    function_of,
    inside,
    number_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import asks_for, importing, knows
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import SECRET_WORDS, replaced, words_in
from secdaemon.pipeline.routes.syntax import text_of

_SECURE = "java.security.SecureRandom"
_AS_KOTLIN = "kotlin.random.asKotlinRandom"
_KOTLIN_CALLS = ("nextBytes", "nextInt", "nextLong", "nextBits", "nextDouble", "nextBoolean")
_ALSO_SECRET = re.compile(
    r"(?<![a-z])(code|pin|key|iv|ticket|password|generate-id|salt)s?(?![a-z])"
)
_OF_JAVA_17 = frozenset(("nextInt", "nextLong", "nextDouble"))


def _random(code: Code) -> Iterator[Instance]:
    yield from _generators(code)
    yield from _shared(code)
    if code.grammar == "kotlin":
        yield from _kotlin(code)


def _generators(code: Code) -> Iterator[Instance]:
    """`java.util.Random` without a seed: the generator that keeps its type but not its weakness."""
    for call in calls_of(code, "Random"):
        is_made = call.node.type == "object_creation_expression" or code.grammar == "kotlin"
        if call.arguments or call.receiver is not None or not is_made:
            continue
        if code.grammar == "kotlin" and code.whole and not knows(code, "java.util.Random"):
            continue
        if not _is_secret(call.node):
            continue
        new = "new SecureRandom()" if code.grammar == "java" else "SecureRandom()"
        edits = _with_import(code, [replaced(code, call.node, new)], _SECURE)
        yield Instance(
            call.node,
            edits,
            "`SecureRandom` takes the place of `java.util.Random`, whose next values follow from "
            f"two that were seen.{asks_for(code, _SECURE)}",
        )


def _shared(code: Code) -> Iterator[Instance]:
    """`ThreadLocalRandom.current()` and `Math.random()`."""
    for call in calls_of(code, "current", "random"):
        old = f"{call.on}.{call.name}"
        if old not in {"ThreadLocalRandom.current", "Math.random"} or not _is_secret(call.node):
            continue
        new = "new SecureRandom()" if code.grammar == "java" else "SecureRandom()"
        if old == "Math.random":
            new += ".nextDouble()"
        outer = call_of(call.node.parent) or _called_on(call.node)
        is_new_api = outer is not None and outer.name in _OF_JAVA_17 and len(outer.arguments) > 1
        declaration = declaration_around(call.node)
        is_typed = declaration is not None and bool(
            re.search(r"\bThreadLocalRandom\b[^=]*=", text_of(declaration))
        )
        edits = _with_import(code, [replaced(code, call.node, new)], _SECURE)
        yield Instance(
            call.node,
            () if is_new_api or is_typed else edits,
            f"`SecureRandom` takes the place of `{old}`, whose next values follow from those that "
            f"were seen.{asks_for(code, _SECURE)}",
        )


def _called_on(node: Node) -> Call | None:
    parent = node.parent
    return call_of(parent.parent) if parent is not None and parent.parent is not None else None


def _kotlin(code: Code) -> Iterator[Instance]:
    """`kotlin.random.Random`, whose calls are the same on a `SecureRandom` in Kotlin's dress."""
    for call in calls_of(code, *_KOTLIN_CALLS):
        receiver = call.receiver
        if receiver is None or text_of(receiver) not in {"Random", "Random.Default"}:
            continue
        is_java = code.whole and knows(code, "java.util.Random")
        if is_java or not _is_secret(call.node):
            continue
        size = number_of(call.given(0))
        if call.name == "nextBytes" and size is not None and len(call.arguments) == 1:
            new = f"ByteArray({size}).also {{ SecureRandom().nextBytes(it) }}"
            edits = _with_import(code, [replaced(code, call.node, new)], _SECURE)
        else:
            made = replaced(code, receiver, "SecureRandom().asKotlinRandom()")
            edits = _with_import(code, [made], _SECURE, _AS_KOTLIN)
        yield Instance(
            call.node,
            edits,
            "`SecureRandom` takes the place of `kotlin.random.Random`, whose next values follow "
            f"from those that were seen.{asks_for(code, _SECURE)}",
        )
    yield from _picks(code)


def _picks(code: Code) -> Iterator[Instance]:
    """`characters.random()`, which takes the default generator."""
    for call in calls_of(code, "random"):
        if call.arguments or call.block is not None or call.receiver is None or call.listed is None:
            continue
        if call.on == "Math" or not _is_secret(call.node):
            continue
        made = replaced(code, call.listed, "(SecureRandom().asKotlinRandom())")
        yield Instance(
            call.node,
            _with_import(code, [made], _SECURE, _AS_KOTLIN),
            "`random` picks by `SecureRandom` instead of the default generator, whose next picks "
            f"follow from those that were seen.{asks_for(code, _SECURE, _AS_KOTLIN)}",
        )


def _with_import(code: Code, edits: list[TextEdit], *dotted: str) -> tuple[TextEdit, ...]:
    added = importing(code, *dotted)
    return () if added is None else (*edits, *added)


def _is_secret(node: Node) -> bool:
    """Whether the function, or the name that is given the value, says that it is a secret."""
    function = function_of(node)
    names = []
    if function is not None:
        # What it is given says what it is about, such as a map's key, but not what it makes.
        kinds = ("parameter", "formal_parameter")
        given = {
            text_of(n) for each in inside(function, *kinds) for n in inside(each, "identifier")
        }
        names = [text_of(n) for n in inside(function, "identifier") if n.start_byte < node.end_byte]
        names = [name for name in names if name not in given]
    declaration = declaration_around(node)
    if declaration is not None:
        names += [text_of(n) for n in inside(declaration, "identifier")[:1]]
    words = words_in(*(name for name in names if name))
    return bool(SECRET_WORDS.search(words) or _ALSO_SECRET.search(words))


_RULES = (
    r"(weak|insecure|predictable|pseudo|unsafe)-?(random|prng|rng)|weak-random|java-util-random"
    r"|math-random|random|prng"
)

PATTERNS = (pattern("jvm-random", _RULES, (330, 338, 335), JVM, _random),)
