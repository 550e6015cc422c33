"""What must not leave the parser: secrets, personal traces, and text that acts on its reader.

`redact` is for any text from outside (scan messages, code contexts). `Redactor` is the same with a
memory: a value that a secret scanner names is hidden in every other text of the artifact too.
Placeholders are `<secret:KIND:ID>`, the id eight digits of a hash of the value under the home's
salt: the same secret has the same one in every run, and without the salt no guess can be tried
against it. Where there is no salt, every id is zero. Applying it twice changes nothing more.
"""

import hashlib
import re
from functools import lru_cache, partial

from secdaemon.pipeline.findings.innocent import is_innocent, is_plain
from secdaemon.pipeline.findings.secret_marks import rules_for
from secdaemon.pipeline.findings.secret_rules import SecretRule, is_secret
from secdaemon.pipeline.findings.shape import MAX_TEXT

_MIN_LITERAL = 6
"""A named secret shorter than this stands in too many innocent words to be replaced everywhere."""
_MIN_PHRASE = 16
_FEW_LITERALS = 32
_MASKED = re.compile(r"\*\*\*|\AREDACTED\Z|\A.{0,200}\.\.\.\Z", re.IGNORECASE)
_IDS = 10**8
"""Two secrets of one home share an id with a chance of one in a hundred million."""
_MAX_PASSES = 20
SHORT = 1024
_REMEMBERED_SHORT = 8192
_REMEMBERED_LONG = 512
"""Texts of up to `shape.MAX_TEXT` characters: 20 MB at most, twice where much is redacted."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"
    r"|[ -/]{0,4}[0-~])"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile("\r\n?|[\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ROLE_TOKEN = re.compile(
    r"<(?P<bar>[|\uff5c][^<>|\uff5c\n]{1,64}[|\uff5c])>"
    r"|<(?P<name>/?(?:s|bos|eos|pad|unk|mask|(?:start|end)_of_(?:turn|text)))>"
    r"|<(?P<system></?SYS>)>"
    r"|\[(?P<bracket>/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS))\]"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+@/-])(?!(?:git|this|super|return|break|continue)@)"
    r"[A-Za-z0-9_%+][A-Za-z0-9._%+-]{0,63}@(?!v?\d+\.\d+[.-])"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_@-])"
)
_HOME = re.compile(
    r"(?<![A-Za-z0-9_.~-])(?:[A-Za-z]:)?"
    r"(?:/|\\{1,2})(?:home|Users|Documents and Settings)(?:/|\\{1,2})"
    r"(?P<user>[A-Za-z][A-Za-z0-9._-]{0,63})(?![A-Za-z0-9._(-])"
)
_HOME_MARKS = ("home", "Users", "Documents and Settings")
_WORKFLOW_COMMAND = re.compile(
    r"^(?P<blank>[ \t]*)::(?=(?:error|warning|notice|debug|group|endgroup|add-mask|save-state"
    r"|set-output|set-env|add-path|stop-commands|echo|add-matcher|remove-matcher)[ :])",
    re.IGNORECASE | re.MULTILINE,
)


class Redactor:
    """Redacts the texts of one artifact; the same salt gives the same placeholder for a value."""

    def __init__(self, salt: bytes = b"") -> None:
        """Start without any known value; the salt has 64 bytes at most (BLAKE2's key)."""
        self._salt = salt
        self._ids: dict[str, int] = {}
        self._literals: dict[str, str] = {}
        self._starts: dict[str, list[str]] = {}
        self._redact_short = lru_cache(_REMEMBERED_SHORT)(self._redact)
        self._redact_long = lru_cache(_REMEMBERED_LONG)(self._redact)

    def placeholder(self, kind: str, value: str, *, everywhere: bool = False) -> str:
        """The placeholder of a value that is known to be secret.

        With `everywhere` the value is the bare secret, and every other text loses it too.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")[:60] or "secret"
        cleaned = neutralise(value).strip()
        if cleaned in self._literals:
            return self._literals[cleaned]
        found = self._name(slug, cleaned)
        if everywhere:
            self._remember(cleaned, found)
        return found

    @property
    def known(self) -> int:
        """How many values are hidden everywhere; it only grows."""
        return len(self._literals)

    def _remember(self, secret: str, placeholder: str) -> None:
        """Hide the secret, and each long line of one with several lines, from now on.

        A short phrase and a value that the scanner has masked itself are no secret anywhere else.
        """
        for literal in {secret, *(ln.strip() for ln in secret.splitlines())}:
            is_phrase = " " in literal and len(literal) < _MIN_PHRASE
            if len(literal) < _MIN_LITERAL or is_phrase or _MASKED.search(literal):
                continue
            if not literal.startswith("-----") and literal not in self._literals:
                self._literals[literal] = placeholder
                self._starts.setdefault(literal[:_MIN_LITERAL], []).append(literal)
        self._redact_short.cache_clear()
        self._redact_long.cache_clear()

    def redact(self, text: str) -> str:
        """The text without secrets, e-mail addresses, home folders and acting characters."""
        if len(text) <= SHORT:
            is_clean = not self._literals and is_innocent(text)
            return text if is_clean else self._redact_short(text)
        return self._redact_long(text) if len(text) <= MAX_TEXT else self._redact(text)

    def _redact(self, text: str) -> str:
        """Pass over the text until nothing more is found: one hidden value may uncover another."""
        if not self._literals and is_innocent(text):
            return text
        before, clean = None, neutralise(text)
        for _ in range(_MAX_PASSES):
            if clean == before:
                break
            before, clean = clean, self._pass(clean)
        return clean

    def _pass(self, text: str) -> str:
        clean = self._hide_literals(text) if self._literals else text
        for rule in rules_for(clean):
            clean = rule.sub(partial(self._hide, rule), clean)
        return self._people(clean)

    def _people(self, text: str) -> str:
        clean = _EMAIL.sub("<email>", text) if "@" in text else text
        return _HOME.sub("~", clean) if any(mark in clean for mark in _HOME_MARKS) else clean

    def _hide(self, rule: SecretRule, match: re.Match[str]) -> str:
        """The match with its value replaced, or as it is where the value is no secret."""
        whole = match.group(0)
        if "value" not in rule.pattern.groupindex:
            return self._name(rule.kind, whole)
        value = match.group("value")
        if not is_secret(rule, value):
            return whole
        start, end = (place - match.start() for place in match.span("value"))
        return whole[:start] + self._name(rule.kind, value) + whole[end:]

    def _hide_literals(self, text: str) -> str:
        for literal in sorted(self._candidates(text), key=len, reverse=True):
            if literal in text:
                text = text.replace(literal, self._literals[literal])
        return text

    def _candidates(self, text: str) -> list[str]:
        """The literals that may stand in the text: by their first characters, if there are many."""
        if len(self._literals) <= _FEW_LITERALS:
            return list(self._literals)
        places = range(len(text) - _MIN_LITERAL + 1)
        begun = self._starts.keys() & {text[at : at + _MIN_LITERAL] for at in places}
        return [literal for start in sorted(begun) for literal in self._starts[start]]

    def _name(self, kind: str, value: str) -> str:
        """The value's placeholder; its id does not depend on the kind, which scanners differ in."""
        known = self._ids.get(value) if self._salt else 0
        if known is None:
            digest = hashlib.blake2b(value.encode(), key=self._salt, digest_size=8).digest()
            known = self._ids[value] = int.from_bytes(digest) % _IDS
        return f"<secret:{kind}:{known:08d}>"


def redact(text: str) -> str:
    """The text as `Redactor.redact` leaves it, without a salt: every id is zero."""
    return Redactor().redact(text)


def neutralise(text: str) -> str:
    r"""The text without what acts on a terminal, a reader's eye, a CI log or a chat template.

    Terminal escapes, control, zero-width and bidirectional characters are dropped, line ends become
    `\n`, lone surrogates `?`; chat-template tokens and workflow commands keep their letters, set
    apart by spaces so that no tokenizer and no runner takes them for its own.
    """
    if text.isascii() and is_plain(text):
        clean = _ROLE_TOKEN.sub(_set_apart, text) if "<" in text or "[" in text else text
        return _WORKFLOW_COMMAND.sub(r"\g<blank>: :", clean) if "::" in clean else clean
    clean = _ESCAPES.sub("", _BREAKS.sub("\n", text))
    clean = _SURROGATES.sub("?", _INVISIBLE.sub("", clean))
    clean = _ROLE_TOKEN.sub(_set_apart, clean)
    return _WORKFLOW_COMMAND.sub(r"\g<blank>: :", clean)


def _set_apart(match: re.Match[str]) -> str:
    token = match.group(0)
    return f"{token[0]} {token[1:-1]} {token[-1]}"
