"""Passkeys: authenticator data whose user-verified flag nobody reads.

WebAuthn Level 3, section 6.1: bit 0 of the flags is user presence, bit 2 is user verification.
"""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import inside, says
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import begins_line, indent_of, inserted
from secdaemon.pipeline.fixes.patterns.webauthn_code import LANGUAGES, function_of
from secdaemon.pipeline.routes.syntax import field, text_of

_PRESENT = re.compile(
    r"[(!\s]*(?:not\s*\(?)?[\w.\[\]() ]*?(?:flags|auth\w*\[32\]|auth_data\[32\])[\w.()\[\] ]*\s*"
    r"(?:&|and)\s*(0x0?1)\s*\)*(?:\s*===?\s*0)?\)*",
    re.IGNORECASE,
)
_VERIFIED = re.compile(r"(?i)0x0?4\b|\buv\b|user_?verif|flag_uv|\b1\s*(?:<<|shl)\s*2\b")
_REFUSES = re.compile(r"\b(?:throw|raise|return (?:false|False))\b")
_SECOND_FACTOR = re.compile(r"(?i)second[-_ ]?factor|two[-_ ]?factor|2fa|mfa|u2f|password(?!less)")
_MESSAGE = re.compile(r"(?i)(user )?(was |is |must be )?(not )?present|presence")


def _unread(code: Code) -> Iterator[Instance]:
    """A check of user presence that no check of user verification stands beside."""
    for node in inside(code.root, "if_statement", "if_expression"):
        condition = field(node, "condition")
        function = function_of(node)
        if condition is None or function is None or len(text_of(node)) > 500:  # noqa: PLR2004
            continue
        found = _PRESENT.fullmatch(text_of(condition))
        is_alone = field(node, "alternative") is None and "else" not in text_of(node)
        if found is None or not is_alone or not _is_refusal(text_of(condition), text_of(node)):
            continue
        if says(function, _VERIFIED) or says(function, _SECOND_FACTOR):
            continue
        edits = (inserted(code, node.end_byte, f"\n{indent_of(code, node)}{_second(node)}"),)
        yield Instance(
            node,
            edits if begins_line(code, node) else (),
            "Bit 2 of the flags is read as well, so an assertion without a PIN or a biometric "
            "check, made by whoever holds the authenticator, is refused.",
        )


def _is_refusal(condition: str, text: str) -> bool:
    is_unset = bool(re.search(r"===?\s*0\)*$", condition)) or condition.lstrip("( ").startswith(
        ("!", "not")
    )
    return is_unset and bool(_REFUSES.search(text))


def _second(node: Node) -> str:
    """Return the same check for the other bit."""
    text = re.sub(r"0x0?1\b", "0x04", text_of(node), count=1)
    return _MESSAGE.sub(_verified, text)


def _verified(found: re.Match[str]) -> str:
    if found[0].lower() == "presence":
        return "verification"
    return re.sub(r"(?i)present", "verified", found[0])


PATTERNS = (
    pattern(
        "webauthn-verified-flag",
        r"(webauthn|fido2?|passkey).*(user-?verif|uv|flag)|user-?verif",
        (308, 287),
        LANGUAGES,
        _unread,
    ),
)
