"""Passkeys: settings of the libraries in use that ask less of a ceremony than they could."""

import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, Argument, Call, inside
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import replaced
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    LANGUAGES,
    call_of,
    calls_of,
    literal,
    options,
    room_of,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of

_STRICT = {
    "allowOriginPort": "false",
    "allowOriginSubdomain": "false",
    "validateSignatureCounter": "true",
}
"""Settings of Yubico's `RelyingParty` -> the strict value."""
_STRICTLY = {
    "allowOriginPort": "An origin is accepted on its own port only, so another service on the same "
    "host can no longer use the credential.",
    "allowOriginSubdomain": "An origin is accepted on its own host only, so a subdomain that "
    "somebody else controls can no longer use the credential.",
    "validateSignatureCounter": "An assertion whose signature counter does not grow is refused, "
    "which is how a copied authenticator shows.",
}
_LAX = frozenset(("discouraged", "preferred"))
_SECOND_FACTOR = re.compile(
    r"(?i)second[-_ ]?factor|two[-_ ]?factor|2fa|mfa|u2f|step[-_ ]?up|password(?!less)"
)
_KEYS = frozenset(("userVerification", "user_verification"))
_CHECKS = frozenset(("requireUserVerification", "require_user_verification"))
_ASKS = re.compile(
    r"(?i)user_?verification$|(?:selection|criteria|options|request)$|(?:register|authenticate)_?begin$"
)
"""What is given a requirement: a setter, a constructor of options, a beginning."""
_FALSE = frozenset(("false", "False"))


def _relying_party(code: Code) -> Iterator[Instance]:
    if code.whole and "RelyingParty" not in code.text:
        return
    for call in calls_of(code, *_STRICT):
        new, reason = _STRICT[call.name], _STRICTLY[call.name]
        given = call.given(0)
        if given is None or len(call.arguments) != 1 or call.receiver is None:
            continue
        if text_of(given) == {"true": "false", "false": "true"}[new]:
            yield Instance(call.word, (replaced(code, given, new),), reason)


def _verified(code: Code) -> Iterator[Instance]:
    yield from _verification(code)
    yield from _checks(code)


def _verification(code: Code) -> Iterator[Instance]:
    """User verification that is asked for less than strictly."""
    for name, value in options(code):
        said = literal(value)
        if name in _KEYS and said in _LAX and not _is_second_factor(code, value):
            text = text_of(value)
            new = text[0] + "required" + text[-1]
            yield Instance(value, (replaced(code, value, new),), _asked(said))
    for node, word in _requirements(code):
        if not _is_second_factor(code, node):
            yield Instance(node, (replaced(code, word, "REQUIRED"),), _asked(text_of(word)))


def _asked(old: str) -> str:
    return (
        f"User verification is `required` instead of {inline(old.lower())}, so the authenticator "
        "signs only after a PIN or a biometric check, and whoever merely holds it does not get in."
    )


def _requirements(code: Code) -> Iterator[tuple[Node, Node]]:
    """`UserVerificationRequirement.PREFERRED`, whose last word is the second node.

    Not where it is compared with: that is a check of what somebody else asked for.
    """
    kinds = ("navigation_expression", "field_access", "attribute", "member_expression")
    for node in inside(code.root, *kinds):
        owner = node.named_children[0] if node.named_children else None
        word = node.named_children[-1] if node.named_children else None
        parent = node.parent
        if owner is None or word is None or parent is None:
            continue
        is_read = parent.type in {"binary_expression", "comparison_operator", "when_condition"}
        is_lax = text_of(word) in {"DISCOURAGED", "PREFERRED"}
        if not is_lax or not text_of(owner).endswith("UserVerificationRequirement") or is_read:
            continue
        if _is_asked(node):
            yield node, word


def _is_asked(node: Node) -> bool:
    """Whether a requirement is given to what asks for it, and not compared or looked up."""
    parent = node.parent
    for _ in range(3):
        if parent is None or parent.type.endswith(("block", "_body")):
            return False
        call = call_of(parent)
        if call is not None:
            names = [call.name, *(a.name for a in call.arguments if a.value == node)]
            return any(_ASKS.search(name) for name in names)
        left = field(parent, "left") or field(parent, "name") or field(parent, "key")
        variable = next(
            (c for c in parent.named_children if c.type == "variable_declaration"), left
        )
        if variable is not None:
            return _ASKS.search(text_of(variable).partition(":")[0].strip()) is not None
        parent = parent.parent
    return False


def _is_second_factor(code: Code, node: Node) -> bool:
    """Whether a password comes before this ceremony: then presence may be enough."""
    room = room_of(code, node)
    near = code.text if room == code.root and not code.whole else text_of(room)
    return _speaks_of_another(near[:20_000])


@lru_cache(maxsize=16)
def _speaks_of_another(text: str) -> bool:
    return _SECOND_FACTOR.search(text) is not None


def _checks(code: Code) -> Iterator[Instance]:
    """Verification by the server that does not look at the flag."""
    reason = (
        "The server refuses an assertion whose user-verified flag is not set, so the PIN or "
        "biometric check that was asked for cannot be left out by the client."
    )
    for name, value in options(code):
        if name in _CHECKS and text_of(value) in _FALSE and not _is_second_factor(code, value):
            new = "True" if code.grammar == "python" else "true"
            yield Instance(value.parent or value, (replaced(code, value, new),), reason)
    for call in _webauthn4j(code):
        booleans = _trailing(call)
        lax = booleans[0].value if booleans else None
        if lax is not None and text_of(lax) == "false" and not _is_second_factor(code, lax):
            yield Instance(call.node, (replaced(code, lax, "true"),), reason)


def _webauthn4j(code: Code) -> list[Call]:
    """`userVerificationRequired` is the first of the one or two booleans at the end."""
    if code.grammar not in JVM:
        return []
    return calls_of(code, "AuthenticationParameters", "RegistrationParameters")


def _trailing(call: Call) -> list[Argument]:
    found: list[Argument] = []
    for argument in reversed(call.arguments):
        if text_of(argument.value) not in {"true", "false"} or argument.name:
            break
        found.insert(0, argument)
    is_whole = len(found) < len(call.arguments) and 1 <= len(found) <= 2  # noqa: PLR2004
    return found if is_whole else []


def _untrusted(code: Code) -> Iterator[Instance]:
    """Attestation that is asked for, with roots to trust, and then not looked at."""
    for call in calls_of(code, "allowUntrustedAttestation"):
        given = call.given(0)
        around = text_of(room_of(code, call.node))
        is_real = "attestationTrustSource" in around and re.search(
            r"AttestationConveyancePreference\.(DIRECT|ENTERPRISE)", around
        )
        if given is not None and text_of(given) == "true" and is_real:
            yield Instance(
                call.word,
                (replaced(code, given, "false"),),
                "A new credential has to come with an attestation that leads to one of the trusted "
                "roots, as the settings beside it ask.",
            )


_WORDS = r"(webauthn|fido2?|passkey)"

PATTERNS = (
    pattern(
        "webauthn-relying-party",
        rf"{_WORDS}.*(origin|rp-?id|relying|subdomain|port|counter|clone|config|weak)",
        (346, 287, 1385),
        JVM,
        _relying_party,
    ),
    pattern(
        "webauthn-user-verification",
        rf"{_WORDS}.*(user-?verif|uv|verif|valid|authenticator-selection|discouraged)"
        r"|(require-)?user-?verification",
        (308,),
        LANGUAGES,
        _verified,
    ),
    pattern(
        "webauthn-untrusted-attestation",
        rf"{_WORDS}.*(attestation|untrusted)|attestation",
        (295, 347),
        JVM,
        _untrusted,
    ),
)
