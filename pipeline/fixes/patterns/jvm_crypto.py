"""Java and Kotlin: weak hashes, signatures, keys, iteration counts and TLS versions.

A new algorithm is put in where the call names the old one. What another program fixes (a protocol's
SHA-1, a stored password's hash) is no matter of one word and is left alone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    above,
    calls_of,
    chain_of,
    declaration_around,
    declared,
    function_of,
    inside,
    letters_of,
    name_of,
    number_of,
    room_of,
    says,
)
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import replaced, words_in
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import child, field, text_of

_WEAK_HASHES = frozenset(("MD2", "MD4", "MD5", "SHA", "SHA1", "SHA-1"))
_HASHERS = {"md5Hex": "sha256Hex", "sha1Hex": "sha256Hex", "md5": "sha256", "sha1": "sha256"}
_FIXED_BY_OTHERS = re.compile(
    r"258EAFA5-E914|content-?md5|pwned|x5t|thumb-?print|websocket-?accept|git-?(blob|object)"
    r"|name-?uuid|gravatar|etag|hibp|\bUUID\(|%032x|padStart\(32|(?:SecretKey|IvParameter)Spec\(",
    re.IGNORECASE,
)
"""Protocols whose hash is not the project's to choose, and uses that want its length."""
_OWN_NAME = re.compile(r"(?<![a-z])(md-?[245]|sha-?1)(?!\d)")
_PASSWORDS = re.compile(r"(?<![a-z])(pass-?(word|wd|code|phrase)|passwd|pwd|pin)s?(?![a-z])")
_SIGNATURE = re.compile(r"(?:MD2|MD5|SHA-?1)with(RSA|DSA|ECDSA)", re.IGNORECASE)
_WEAK_CURVE = re.compile(
    r"(?:sec[pt](?:112|113|128|131|160|163|192|193)[rk][12]|prime192v[123])", re.IGNORECASE
)
_RSA_BITS, _RSA_LEAST = 3072, 2048
_EC_BITS, _EC_LEAST = 256, 224
_ITERATIONS = {"SHA1": 1_300_000, "SHA256": 600_000, "SHA512": 210_000}
"""OWASP's Password Storage Cheat Sheet, as of 2023."""
_WEAK_TLS = frozenset(("SSL", "SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"))
_ITERATIONS_AT = 2


def _hashes(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "getInstance"):
        old = letters_of(call.given(0)) if _is(call.receiver, "MessageDigest") else None
        if old is None or old.upper() not in _WEAK_HASHES or len(call.arguments) > 2:  # noqa: PLR2004
            continue
        edits = () if _is_bound(code, call) else (_word(code, call.arguments[0].value, "SHA-256"),)
        reason = (
            f"SHA-256 takes the place of {inline(old)}, for which two inputs with one hash can be "
            "made. Hashes that are stored already have to be made again."
        )
        yield Instance(call.node, edits, reason)
    for call in calls_of(code, *_HASHERS):
        library = {"md5Hex": "DigestUtils", "sha1Hex": "DigestUtils"}.get(call.name, "Hashing")
        if not _is(call.receiver, library) or call.listed is None:
            continue
        new = _HASHERS[call.name]
        edits = () if _is_bound(code, call) else (replaced(code, call.word, new),)
        reason = (
            f"`{library}.{new}` takes the place of `{call.name}`, for which two inputs with one "
            "hash can be made. Hashes that are stored already have to be made again."
        )
        yield Instance(call.node, edits, reason)


def _is_bound(code: Code, call: Call) -> bool:
    """Whether the hash is fixed by a protocol, or of a password, which needs a slow one."""
    room = room_of(code, call.node)
    return says(room, _FIXED_BY_OTHERS) or _is_about_passwords(room) or _is_called_so(code, call)


def _is_called_so(code: Code, call: Call) -> bool:
    """Whether the function, or what is made, has the old hash for a name, as callers expect."""
    function = function_of(call.node)
    named = field(function, "name") or child(function, "identifier") if function else None
    kinds = ("property_declaration", "local_variable_declaration", "field_declaration")
    made = (declared(code, each) for each in above(call.node, *kinds))
    names = (text_of(named), *(pair[0] for pair in made if pair is not None))
    return bool(_OWN_NAME.search(words_in(*names)))


@lru_cache(maxsize=64)
def _is_about_passwords(room: Node) -> bool:
    return bool(_PASSWORDS.search(words_in(text_of(room))))


def _signatures(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "getInstance"):
        old = letters_of(call.given(0)) if _is(call.receiver, "Signature") else None
        if old is None or (found := _SIGNATURE.fullmatch(old)) is None:
            continue
        new = f"SHA256with{found[1].upper()}"
        yield Instance(
            call.node,
            (_word(code, call.arguments[0].value, new),),
            f"{inline(new)} takes the place of {inline(old)}, whose hash lets another document "
            "carry the same signature. Signer and verifier change together.",
        )


def _keys(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "initialize"):
        kind = _generator(code, call)
        bits = number_of(call.given(0))
        if bits is None or kind is None:
            continue
        least, new = (_EC_LEAST, _EC_BITS) if kind == "EC" else (_RSA_LEAST, _RSA_BITS)
        if bits < least:
            yield Instance(
                call.node,
                (replaced(code, call.arguments[0].value, str(new)),),
                f"The {kind} key has {new} bits instead of {bits}, which can be broken.",
            )
    for call in calls_of(code, "ECGenParameterSpec"):
        old = letters_of(call.given(0))
        if old is not None and _WEAK_CURVE.fullmatch(old):
            yield Instance(
                call.node,
                (_word(code, call.arguments[0].value, "secp256r1"),),
                f"The curve `secp256r1` takes the place of {inline(old)}, whose keys can be "
                "broken.",
            )


def _generator(code: Code, call: Call) -> str | None:
    """Return the algorithm of the key pair generator that a call initialises, None if not seen."""
    for each in chain_of(call.node)[1:]:
        if each.name == "getInstance" and _is(each.receiver, "KeyPairGenerator"):
            return _pair(letters_of(each.given(0)))
    name = name_of(call.receiver)
    kinds = {
        _pair(letters_of(each.given(0)))
        for each in calls_of(code, "getInstance")
        if _is(each.receiver, "KeyPairGenerator")
        and room_of(code, each.node) == room_of(code, call.node)
        and _declares(code, each.node, name)
    }
    return kinds.pop() if len(kinds) == 1 else None


def _declares(code: Code, value: Node, name: str) -> bool:
    declaration = declaration_around(value)
    found = declared(code, declaration) if declaration is not None else None
    return found is not None and found[0] == name and bool(name)


def _pair(algorithm: str | None) -> str | None:
    return {"RSA": "RSA", "EC": "EC", "ECDSA": "EC"}.get(algorithm or "")


def _iterations(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "PBEKeySpec"):
        count = call.given(_ITERATIONS_AT)
        kinds = _derivations(code)
        if (
            count is None
            or len(kinds) != 1
            or (wanted := _ITERATIONS.get(next(iter(kinds)))) is None
        ):
            continue
        literal = count if number_of(count) is not None else _constant(code, name_of(count))
        number = number_of(literal)
        if literal is None or number is None or number >= wanted // 2:
            continue
        yield Instance(
            call.node,
            (replaced(code, literal, f"{wanted:_}"),),
            f"{wanted:,} iterations instead of {number:,} make each guess at a password that much "
            "dearer. Hashes that are stored already need their old count until they are made anew.",
            source=literal,
        )


@lru_cache(maxsize=4)
def _derivations(code: Code) -> frozenset[str]:
    """Return the hashes of the PBKDF2 that the text names."""
    return frozenset(re.findall(r'"PBKDF2WithHmac(SHA1|SHA256|SHA512)"', code.text))


def _constant(code: Code, name: str) -> Node | None:
    """Return the literal that a constant of this file is, None for none or several."""
    found = _constants(code).get(name, [])
    return found[0] if name and len(found) == 1 else None


@lru_cache(maxsize=4)
def _constants(code: Code) -> dict[str, list[Node]]:
    """Return what the constants of a file are, by their names."""
    found: dict[str, list[Node]] = {}
    for node in inside(code.root, "property_declaration", "field_declaration"):
        pair = declared(code, node)
        if pair and re.search(r"\b(val|final)\b", text_of(node).partition("=")[0]):
            found.setdefault(pair[0], []).append(pair[1])
    return found


def _tls(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "getInstance"):
        old = letters_of(call.given(0)) if _is(call.receiver, "SSLContext") else None
        if old in _WEAK_TLS:
            # Android knows 1.3 by name since version 10 only.
            new = "TLSv1.2" if re.search(r"^import android", code.text, re.MULTILINE) else "TLSv1.3"
            yield Instance(
                call.node,
                (_word(code, call.arguments[0].value, new),),
                f"The context is made for {inline(new)} instead of {inline(old or '')}, a version "
                "whose connections can be read or changed on their way.",
            )
    yield from _protocols(code)


def _protocols(code: Code) -> Iterator[Instance]:
    """Old versions in `setEnabledProtocols(new String[] {…})` beside ones that are good."""
    for call in calls_of(code, "setEnabledProtocols"):
        listed = call.given(0)
        made = inside(listed, "string_literal") if listed is not None else []
        names = [letters_of(each) for each in made]
        kept = [name for name in names if name and name not in _WEAK_TLS and name != "SSLv2Hello"]
        if listed is None or None in names or len(kept) == len(names) or not _is_list(listed):
            continue
        kept = kept or ["TLSv1.2", "TLSv1.3"]
        text = ", ".join(f'"{name}"' for name in kept)
        new = f"arrayOf({text})" if code.grammar == "kotlin" else f"new String[] {{{text}}}"
        yield Instance(
            call.node,
            (replaced(code, listed, new),),
            f"Only {inline(', '.join(kept))} may be used: connections of the older versions can be "
            "read or changed on their way.",
        )


def _is_list(node: Node) -> bool:
    return bool(
        re.fullmatch(
            r"(?:arrayOf\(|new String\s*\[\]\s*\{)\s*(?:\"[\w.]+\"\s*,?\s*)+[)}]", text_of(node)
        )
    )


def _is(receiver: Node | None, name: str) -> bool:
    return text_of(receiver).rpartition(".")[2] == name


def _word(code: Code, literal: Node, text: str) -> TextEdit:
    return replaced(code, literal, f'"{text}"')


PATTERNS = (
    pattern(
        "jvm-weak-hash",
        r"(use-of-|weak-|insecure-)?(md2|md4|md5|sha-?1|sha1)|weak-(message-)?(digest|hash)"
        r"|insecure-hash|broken-crypto|weak-crypto",
        (327, 328, 326),
        JVM,
        _hashes,
    ),
    pattern(
        "jvm-weak-signature",
        r"weak-signature|sha-?1|md5|signature-alg|weak-crypto|broken-crypto",
        (327, 328),
        JVM,
        _signatures,
    ),
    pattern(
        "jvm-short-key",
        r"weak-(rsa|ec|key)|(rsa|ec|dsa|key)-(key-)?(size|length|bits)|insufficient-(rsa-)?key"
        r"|use-of-weak-rsa|ec-curve|weak-curve",
        (326, 327),
        JVM,
        _keys,
    ),
    pattern(
        "jvm-pbkdf2-iterations",
        r"pbkdf2|(low|insufficient|weak)-iteration|iteration-count|password-hash|key-derivation",
        (916, 326, 328),
        JVM,
        _iterations,
    ),
    pattern(
        "jvm-tls-version",
        r"(weak|insecure|old)-(ssl|tls)|ssl-?(context|v2|v3)|tls-?v?1|ssl-version|tls-version"
        r"|default-tls|weak-ssl-context",
        (326, 327, 757),
        JVM,
        _tls,
    ),
)
