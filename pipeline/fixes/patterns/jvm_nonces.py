"""Java and Kotlin: AES-GCM whose nonces are new each time, which broad rules report as well."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.flagged_code import Site, line_of
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    above,
    declaration_around,
    declared,
    inside,
    letters_of,
    named,
    number_of,
)
from secdaemon.pipeline.fixes.patterns.webauthn_code import function_of
from secdaemon.pipeline.routes.syntax import field, text_of

_NONCE_BYTES = 12
_SPEC_ARGUMENTS = 2
_SLICE_ARGUMENTS = 4
_REPEATED = (
    *("for_statement", "while_statement", "do_statement", "enhanced_for_statement"),
    *("do_while_statement", "lambda_literal", "lambda_expression", "anonymous_function"),
)
_BRANCHES = (
    *("if_statement", "if_expression", "when_expression", "switch_expression", "try_expression"),
    *("try_statement", "ternary_expression", "elvis_expression"),
)
_READS = frozenset(("put", "write", "encodeToString", "plus", "wrap", "arraycopy", "writeBytes"))
"""Calls that only read the nonce they are given first: it goes along with the message."""
_RANDOM = re.compile(
    r"(?:new\s+)?(?:java\.security\.)?SecureRandom(?:\(\)|\.getInstanceStrong\(\))"
)


def fresh_nonce(site: Site) -> str | None:
    """AES-GCM whose nonce is new for each message, or that opens a message."""
    made = [
        call
        for call in site.calls()
        if call.name in {"getInstance", "GCMParameterSpec", "init"} and site.code.grammar in JVM
    ]
    function = function_of(made[0].node) if made else None
    if function is None or function.has_error:
        return None
    within_it = site.calls_in(function)
    ciphers = [c for c in within_it if c.name == "getInstance" and c.on.endswith("Cipher")]
    if len(ciphers) != 1 or "GCM" not in (letters_of(ciphers[0].given(0)) or ""):
        return None
    declaration = declaration_around(ciphers[0].node)
    cipher = declared(site.code, declaration) if declaration is not None else None
    inits = [c for c in within_it if cipher and c.name == "init" and c.on == cipher[0]]
    if len(inits) != 1 or function_of(inits[0].node) != function:
        return None
    mode = text_of(inits[0].given(0)).rpartition(".")[2]
    if mode == "DECRYPT_MODE":
        return _opened(site, function, inits[0])
    return _sealed(site, function, inits[0]) if mode == "ENCRYPT_MODE" else None


def _sealed(site: Site, function: Node, init: Call) -> str | None:
    """Return the sentence for an encryption under a nonce that is made in the same call."""
    if len(init.arguments) == _SPEC_ARGUMENTS:  # the mode and the key
        return (
            f"the cipher is started without parameters ({line_of(site, init.node)}), for which the "
            "provider makes a new random nonce each time."
        )
    spec = _spec(site, function, init)
    given = spec.given(1) if spec is not None and len(spec.arguments) == _SPEC_ARGUMENTS else None
    if spec is None or given is None or given.type != "identifier":
        return None
    array = _array(site, function, text_of(given))
    if (
        array is None
        or _repeats(array) != _repeats(init.node)
        or _repeats(array) != _repeats(spec.node)
    ):
        return None
    fills = [
        call
        for call in site.calls_in(function)
        if call.name == "nextBytes" and _fills(call, array, text_of(given))
    ]
    if len(fills) != 1 or fills[0].node.start_byte > init.node.start_byte:
        return None
    if not _is_secure(site, fills[0]) or not _is_only_read(function, text_of(given), array):
        return None
    return (
        f"the nonce is {_NONCE_BYTES} new bytes of `SecureRandom` in each call "
        f"({line_of(site, array)}) and is used for one message only, so no nonce is used twice "
        "under a key."
    )


def _spec(site: Site, function: Node, init: Call) -> Call | None:
    """Return the only `GCMParameterSpec` of a function, where the cipher is started with it."""
    specs = [call for call in site.calls_in(function) if call.name == "GCMParameterSpec"]
    if len(specs) != 1 or len(init.arguments) < _SPEC_ARGUMENTS + 1:
        return None
    last, spec = init.arguments[2].value, specs[0]
    declaration = declaration_around(spec.node)
    held = declared(site.code, declaration) if declaration is not None else None
    is_given = last == spec.node or (held is not None and held[0] == text_of(last))
    return spec if is_given else None


def _array(site: Site, function: Node, name: str) -> Node | None:
    """Return the declaration of a local array of 12 bytes; None for another or several."""
    kinds = ("property_declaration", "local_variable_declaration")
    found = [
        (node, pair[1])
        for node in inside(function, *kinds)
        if (pair := declared(site.code, node)) is not None and pair[0] == name
    ]
    if len(found) != 1 or text_of(found[0][0]).startswith("var "):
        return None
    made = re.match(r"ByteArray\(\s*(\w+)\s*\)|new\s+byte\s*\[\s*(\w+)\s*\]$", text_of(found[0][1]))
    size = (made[1] or made[2]) if made else ""
    return found[0][0] if size and _is_twelve(site, size) else None


def _is_twelve(site: Site, size: str) -> bool:
    """Whether a size is 12, or the only constant of its name in the file is."""
    if size.isdigit():
        return int(size) == _NONCE_BYTES
    kinds = ("property_declaration", "field_declaration")
    found = [
        pair[1]
        for node in inside(site.code.root, *kinds)
        if (pair := declared(site.code, node)) is not None and pair[0] == size
    ]
    is_constant = re.fullmatch(r"[A-Z][A-Z0-9_]*", size) is not None
    return is_constant and len(found) == 1 and number_of(found[0]) == _NONCE_BYTES


def _repeats(node: Node) -> Node | None:
    """Return the innermost loop or lambda around a node: what is in there runs many times."""
    return next(above(node, *_REPEATED), None)


def _fills(call: Call, array: Node, name: str) -> bool:
    """Whether a generator fills the array, each time that it is made."""
    given = text_of(call.given(0))
    is_inside = array.start_byte <= call.node.start_byte < array.end_byte
    if is_inside:
        only = r"\)\s*\.also\s*\{\s*[\w.]+(?:\(\))?\.nextBytes\(it\)\s*\}"
        return re.search(rf"{only}$", text_of(array)) is not None
    statement = call.node.parent
    is_same_block = array.parent in {statement, statement.parent if statement else None}
    return (
        given == name
        and is_same_block
        and next(above(call.node, *_BRANCHES), None) == next(above(array, *_BRANCHES), None)
    )


def _is_secure(site: Site, fill: Call) -> bool:
    """Whether the generator is a `SecureRandom` that nobody seeds, here or by its declaration."""
    if "setSeed(" in site.flagged.text:
        return False
    if _RANDOM.fullmatch(fill.on):
        return True
    name = fill.on.removeprefix("this.")
    kinds = ("property_declaration", "field_declaration", "local_variable_declaration")
    found = [
        pair[1]
        for node in inside(site.code.root, *kinds)
        if (pair := declared(site.code, node)) is not None and pair[0] == name
    ]
    parameters = ("parameter", "class_parameter", "formal_parameter")
    is_parameter = any(
        re.search(rf"\b{re.escape(name)}\b", text_of(node))
        for node in inside(site.code.root, *parameters)
    )
    return (
        bool(found)
        and not is_parameter
        and all(_RANDOM.fullmatch(text_of(value)) for value in found)
    )


def _is_only_read(function: Node, name: str, array: Node) -> bool:
    """Whether nothing but the generator can write the array."""
    for node in named(function).get(name, ()):
        if array.start_byte <= node.start_byte < array.end_byte:
            continue
        holder = node.parent
        if holder is None or not _reads(node, holder):
            return False
    return True


def _reads(node: Node, holder: Node) -> bool:
    if holder.type in {"binary_expression", "additive_expression"}:
        return text_of(field(holder, "operator")) == "+"
    if holder.type in {"return_expression", "return_statement", "field_access"}:
        return not holder.type.endswith("access") or text_of(holder).endswith(".length")
    if holder.type == "navigation_expression":
        return re.search(r"\.(?:size|copyOf|toList)$", text_of(holder)) is not None
    listed = holder.parent if holder.type == "value_argument" else holder
    call = listed.parent if listed is not None else None
    if listed is None or call is None or listed.type not in {"value_arguments", "argument_list"}:
        return False
    word = re.search(r"(\w+)\s*(?:<[^()]*>)?\s*$", text_of(call).partition("(")[0])
    called = text_of(field(call, "name")) or text_of(field(call, "type"))
    if not called:
        callee = call.named_children[0] if call.named_children else None
        called = text_of(callee).rpartition(".")[2] if callee is not None else ""
    called = called or (word[1] if word else "")
    is_first = bool(listed.named_children) and listed.named_children[0] in {node, holder}
    is_made = called[:1].isupper()
    return called == "nextBytes" or is_made or (is_first and called in _READS)


def _opened(site: Site, function: Node, init: Call) -> str | None:
    """Return the sentence for a decryption whose nonce comes with the message."""
    spec = _spec(site, function, init)
    given = spec.given(1) if spec is not None else None
    if spec is None or given is None:
        return None
    name = text_of(given)
    is_slice = len(spec.arguments) == _SLICE_ARGUMENTS
    is_plain = len(spec.arguments) == _SPEC_ARGUMENTS and given.type == "identifier"
    if not (is_slice or is_plain) or not _comes_along(site, function, name):
        return None
    return (
        f"the cipher only decrypts here ({line_of(site, init.node)}): the nonce is the one that "
        "the message was made with, and none is chosen."
    )


def _comes_along(site: Site, function: Node, name: str) -> bool:
    """Whether a nonce is a parameter, or a local that is read from one, and no constant."""
    parameters = inside(function, "parameter", "formal_parameter")
    given = {text_of(n) for each in parameters for n in inside(each, "identifier")[:2]}
    if name in given:
        return True
    text = text_of(function)
    kinds = ("property_declaration", "local_variable_declaration")
    for node in inside(function, *kinds):
        pair = declared(site.code, node)
        if pair is None or pair[0] != name:
            continue
        value = text_of(pair[1])
        is_part = re.search(r"(?:copyOfRange|copyOf|sliceArray|take|decode)\(", value)
        is_constant = re.search(r'^[A-Z][A-Z0-9_]+\.|\(\s*[A-Z][A-Z0-9_]+\s*[,)]|"', value)
        if is_part and not is_constant:
            return True
        is_made = re.match(r"ByteArray\(|new\s+byte\b", value)
        said = re.escape(name)
        filled = (
            rf"\.(?:get|read|readFully)\(\s*{said}\s*\)|arraycopy\([^;\n]*,\s*{said}\s*,"
            rf"|[a-z]\w*\.copyInto\(\s*{said}\b"
        )
        return bool(is_made and re.search(filled, text))
    return False
