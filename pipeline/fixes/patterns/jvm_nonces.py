"""Java and Kotlin: AES-GCM whose nonces are new each time, which broad rules report as well."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.flagged_code import Site, line_of
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, Call, above, inside, letters_of
from secdaemon.pipeline.fixes.patterns.webauthn_code import calls, function_of
from secdaemon.pipeline.routes.syntax import text_of

_NONCE_BYTES = 12
_LOOPS = ("for_statement", "while_statement", "do_statement", "enhanced_for_statement")


def fresh_nonce(site: Site) -> str | None:
    """AES-GCM whose nonce is new for each message, or that opens a message."""
    made = [
        call
        for call in site.calls()
        if call.name in {"getInstance", "GCMParameterSpec", "init"} and site.code.grammar in JVM
    ]
    if not made:
        return None
    function = function_of(made[0].node)
    if function is None or function.has_error:
        return None
    within_it = [
        call
        for call in calls(site.code)
        if function.start_byte <= call.node.start_byte < function.end_byte
        and function_of(call.node) == function
    ]
    inits = [
        call
        for call in within_it
        if call.name == "init" and re.search(r"(?:EN|DE)CRYPT_MODE", text_of(call.listed))
    ]
    ciphers = [
        call for call in within_it if call.name == "getInstance" and call.on.endswith("Cipher")
    ]
    is_gcm = all("GCM" in (letters_of(call.given(0)) or "") for call in ciphers)
    if len(inits) != 1 or len(ciphers) != 1 or not is_gcm:
        return None
    if "DECRYPT_MODE" in text_of(inits[0].listed):
        return _opened(site, function, inits[0])
    return _sealed(site, function, inits[0])


def _sealed(site: Site, function: Node, init: Call) -> str | None:
    """Return the sentence for an encryption under a nonce that is made in the same call."""
    if any(node.type.startswith(("for", "while", "do_")) for node in above(init.node, *_LOOPS)):
        return None
    if len(init.arguments) == 2:  # noqa: PLR2004 - the mode and the key
        return (
            f"the cipher is started without parameters ({line_of(site, init.node)}), for which the "
            "provider makes a new random nonce each time."
        )
    spec = text_of(init.arguments[-1].value)
    for name in _arrays(function):
        filled = re.search(
            rf"(?:SecureRandom\([^)]*\)|\b\w*[rR](?:andom|ng)\w*)\s*\.nextBytes\(\s*"
            rf"(?:{re.escape(name)}|it)\s*\)",
            text_of(function),
        )
        if (
            filled is None
            or not _is_secure(site, filled[0])
            or not _specifies(function, spec, name)
        ):
            continue
        node = next(n for n in inside(function, "identifier") if text_of(n) == name)
        return (
            f"the nonce is {_NONCE_BYTES} new bytes of `SecureRandom` in each call "
            f"({line_of(site, node)}) and is used for one message only, so no nonce is used twice "
            "under a key."
        )
    return None


def _arrays(function: Node) -> list[str]:
    """Return the names of the local arrays of 12 bytes, or of a constant's length."""
    found = re.findall(
        r"(?:val\s+(\w+)(?:\s*:\s*ByteArray)?\s*=\s*ByteArray\(\s*(?:12|[A-Z_]*(?:IV|NONCE)[A-Z_]*)"
        r"\s*\)|byte\s*\[\]\s*(\w+)\s*=\s*new\s+byte\s*\[\s*(?:12|[A-Z_]*(?:IV|NONCE)[A-Z_]*)\s*\])",
        text_of(function),
    )
    return [kotlin or java for kotlin, java in found]


def _is_secure(site: Site, filled: str) -> bool:
    """Whether the generator is a `SecureRandom`, here or by its declaration."""
    name = filled.partition(".")[0].strip()
    if filled.startswith("SecureRandom"):
        return True
    made = rf"\b{re.escape(name)}\s*(?::\s*SecureRandom\s*)?=\s*(?:new\s+)?SecureRandom\b"
    return bool(re.search(made, site.flagged.text))


def _specifies(function: Node, spec: str, name: str) -> bool:
    """Whether the parameters of the cipher are made of the array, and nothing else writes it."""
    text = text_of(function)
    made = rf"GCMParameterSpec\(\s*[\w.]+(?:\s*\*\s*\d+)?\s*,\s*{re.escape(name)}\s*\)"
    if len(re.findall(made, text)) != 1:
        return False
    holder = re.search(rf"(\w+)\s*=\s*(?:new\s+)?{made}", text)
    is_given = bool(re.search(made, spec)) or (holder is not None and holder[1] == spec.strip())
    is_written = re.search(rf"\b{re.escape(name)}\s*(?:\[[^\]]*\]\s*=[^=]|\.fill\()", text)
    return is_given and is_written is None


def _opened(site: Site, function: Node, init: Call) -> str | None:
    """Return the sentence for a decryption: its nonce comes with the message."""
    if "ENCRYPT_MODE" in text_of(function).replace("DECRYPT_MODE", ""):
        return None
    return (
        f"the cipher only decrypts here ({line_of(site, init.node)}): the nonce is the one that "
        "the message was made with, and none is chosen."
    )
