"""Which code patterns mend a finding: those that fit its rule and have an instance at its lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain
from typing import NamedTuple

from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.model import Fix, Flagged, TextEdit, edited
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.patterns import (
    c_patterns,
    go_code,
    go_flows,
    go_settings,
    hard_coded,
    jvm_android,
    jvm_cipher,
    jvm_commands,
    jvm_crypto,
    jvm_logs,
    jvm_paths,
    jvm_random,
    jvm_redirects,
    jvm_sql,
    jvm_trust,
    jvm_web,
    jvm_xml,
    php_patterns,
    python_calls,
    python_code,
    python_commands,
    python_cookies,
    python_crypto,
    python_settings,
    python_sql,
    python_web,
    script_code,
    script_commands,
    script_mongo,
    script_random,
    script_settings,
    script_sql,
    script_text,
    webauthn_challenge,
    webauthn_counter,
    webauthn_flags,
    webauthn_origin,
    webauthn_settings,
    webauthn_store,
    webauthn_verdict,
)
from secdaemon.pipeline.fixes.patterns.instances import CALLED, SOURCE
from secdaemon.pipeline.fixes.patterns.model import Code, Match, Pattern
from secdaemon.pipeline.fixes.patterns.reading import MAX_CHARS, read_code
from secdaemon.pipeline.fixes.rule_families import words_of
from secdaemon.pipeline.fixes.surroundings import surroundings_of
from secdaemon.pipeline.routes.syntax import text_of, within

_MODULES: tuple[tuple[Pattern, ...], ...] = (
    webauthn_verdict.PATTERNS,
    webauthn_settings.PATTERNS,
    webauthn_flags.PATTERNS,
    webauthn_origin.PATTERNS,
    webauthn_counter.PATTERNS,
    webauthn_challenge.PATTERNS,
    webauthn_store.PATTERNS,
    jvm_sql.PATTERNS,
    jvm_crypto.PATTERNS,
    jvm_cipher.PATTERNS,
    jvm_random.PATTERNS,
    jvm_xml.PATTERNS,
    jvm_paths.PATTERNS,
    jvm_commands.PATTERNS,
    jvm_web.PATTERNS,
    jvm_redirects.PATTERNS,
    jvm_trust.PATTERNS,
    jvm_logs.PATTERNS,
    jvm_android.PATTERNS,
    python_settings.PATTERNS,
    python_cookies.PATTERNS,
    python_crypto.PATTERNS,
    python_calls.PATTERNS,
    python_sql.PATTERNS,
    python_commands.PATTERNS,
    script_commands.PATTERNS,
    script_sql.PATTERNS,
    script_settings.PATTERNS,
    script_text.PATTERNS,
    script_mongo.PATTERNS,
    script_random.PATTERNS,
    go_flows.PATTERNS,
    go_settings.PATTERNS,
    python_web.PATTERNS,
    hard_coded.PATTERNS,
    c_patterns.PATTERNS,
    php_patterns.PATTERNS,
)
PATTERNS: tuple[Pattern, ...] = tuple(chain.from_iterable(_MODULES))
"""The special before the general: of those that fit a finding equally, the first one mends it."""

_TIDIED = {
    "go": go_code.tidied,
    "javascript": script_code.tidied,
    "python": python_code.tidied,
    "tsx": script_code.tidied,
    "typescript": script_code.tidied,
}
"""How imports go that nothing uses any more after a fix."""
_OF_ANOTHER_KIND = re.compile(r"\bb40\d\b|partial-path|without-shell|no-shell|import-subprocess")
"""Rules that share a CWE with patterns and are about something else at the same line."""
_BROAD = frozenset(
    f"CWE-{number}"
    for number in (
        *(16, 20, 74, 94, 116, 119, 200, 284, 287, 310, 319, 326, 327, 345, 400, 522, 676, 693),
        *(770, 916),
    )
)
"""Weaknesses that say too little: what stands beside may share one and be something else."""
_NOT_ABOUT = (
    (
        re.compile(
            r"inject|poison|default-name|no-(domain|expires|path)|fixation|hard-?coded|credential"
            r"|secret"
        ),
        re.compile(r"(python|script|go)-((session-)?cookies|cookie-settings|jwt)"),
    ),
    (re.compile(r"expos|not-revoked"), re.compile(r"(python|script)-jwt")),
    (re.compile(r"min-?version|too-low"), re.compile(r"go-tls")),
    (re.compile(r"insecure-?skip-?verify|certificate-check"), re.compile(r"go-tls-version")),
    (re.compile(r"xpath"), re.compile(r"(python|script)-(paths|send-file)")),
    (re.compile(r"jquery-plugin"), re.compile(r"script-inner-html")),
    (
        re.compile(r"timing|password|salt|hmac|cipher|key-size|crypto-key|rsa|hashids"),
        re.compile(r"(python|script|go)-hashes"),
    ),
    (
        re.compile(r"integer|arithmetic|information|clear-?text|use-after"),
        re.compile(r"c-(overflows|format)"),
    ),
)
"""Words of rules, and the patterns that such a rule is not about though a word of theirs fits."""
_SEVERAL = re.compile(r"\bg402\b")
"""Rules that report several weaknesses, told apart by what they say."""
_IN_TESTS = re.compile(
    r"(^|/)(tests?|testing|specs?|__tests__|e2e|cypress|fixtures)/|(^|/)(test_[^/]*|conftest)\.py$"
    r"|[._-](tests?|spec|e2e|cy)\.\w+$|(^|/)(settings|config)[/._-](dev|development|local)\w*\.\w+$"
)
_MEANT_IN_TESTS = re.compile(
    r"(python|script|go|php)-(hard-coded|certificates|(session-)?cookies|cookie-settings|cors|debug"
    r"|headers|tls|permissions)"
)
"""Settings that tests and a developer's machine have on purpose."""
_OLD_PYTHON = ("exec_statement", "print_statement")
"""Of Python 2, which knows little of what the fixes call."""
_NOTES = ("comment", "line_comment", "block_comment")
_MAX_MATCHES = 20
"""At the flagged lines; more of them are no place but a whole file."""

_Room = tuple[str, str]


def fixes_for(finding: Finding, flagged: Flagged) -> tuple[Fix, ...]:
    """Return the fix of the first pattern that mends what is flagged, () where none does.

    Patterns that the rule's words name come first. Those that share a CWE with the finding are
    asked where none of these has an instance at the flagged lines; a finding about a whole file
    does not ask them.
    Only instances that overlap the flagged lines change, and all of them do. It never raises.
    """
    grammar = grammars.grammar_at(flagged.path, flagged.text)
    if finding.package is not None or grammar is None or len(flagged.text) > MAX_CHARS:
        return ()
    named, same = _fitting(finding, grammar)
    if not named and not same:
        return ()
    room = (None if flagged.whole else surroundings_of(grammar, flagged.text)) or ("", "")
    code = read_code(grammar, flagged.text.join(room), whole=flagged.whole)
    if code is None or within(code.root, *_OLD_PYTHON):
        return ()
    shown = [each for p in named if (each := _Shown.of(p, code, room, flagged.lines)).flagged]
    if not shown and (flagged.line is not None or not flagged.whole):
        shown = [_Shown.of(pattern, code, room, flagged.lines) for pattern in same]
    fixes = (_fix(each, code, room, flagged) for each in shown)
    return next(((fix,) for fix in fixes if fix), ())


class _Shown(NamedTuple):
    """A pattern, its instances in a text, and those at the flagged lines."""

    pattern: Pattern
    found: list[Match]
    flagged: list[Match]

    @classmethod
    def of(cls, pattern: Pattern, code: Code, room: _Room, lines: range) -> "_Shown":
        """Return what a pattern finds in a text."""
        found = _found(pattern, code)
        shift = room[0].count("\n")
        return cls(pattern, found, [match for match in found if _is_at(match, lines, shift)])


def _fitting(finding: Finding, grammar: str) -> tuple[list[Pattern], list[Pattern]]:
    """Return the patterns for a finding in a language: by the rule's words, and by CWE."""
    words = words_of(finding.rule, finding.rule_name)
    if _SEVERAL.search(words):
        words = words_of(words, finding.message)
    readers = [
        pattern
        for pattern in PATTERNS
        if grammar in pattern.grammars and not _is_beside(pattern, words, finding.path or "")
    ]
    named = [pattern for pattern in readers if _word(pattern.rules).search(words)]
    if _OF_ANOTHER_KIND.search(words):
        return named, []
    cwes = frozenset(finding.cwes) - _BROAD
    same = [p for p in readers if p not in named and not p.cwes.isdisjoint(cwes)]
    return named, same


def _is_beside(pattern: Pattern, words: str, path: str) -> bool:
    """Return whether a rule is about something else, or what the pattern finds is meant there."""
    if _MEANT_IN_TESTS.fullmatch(pattern.name) and _IN_TESTS.search(path):
        return True
    return any(about.search(words) and names.fullmatch(pattern.name) for about, names in _NOT_ABOUT)


@cache
def _word(rules: str) -> re.Pattern[str]:
    """Return the rules at the beginning of words."""
    return re.compile(rf"(?<![a-z0-9])(?:{rules})")


def _fix(shown: _Shown, code: Code, room: _Room, flagged: Flagged) -> Fix | None:
    pattern = shown.pattern
    if not 0 < len(shown.flagged) <= _MAX_MATCHES:
        return None
    edits = [pattern.mend(code, match) for match in shown.flagged]
    if not all(edits):
        # Nobody knows which of them the finding is about.
        return None
    after = _mended(code, room, dict.fromkeys(chain.from_iterable(edits)))
    if after is None:
        return None
    is_weak = _predicate(shown, code, room)
    if after == flagged.text or is_weak(after) or not parses(flagged.path, flagged.text, after):
        return None
    now = grammars.parse(code.grammar, after.join(room))
    if _comments(code.root) - _comments(now) or _have_moved(code, after.join(room), now):
        return None
    return Fix(
        approach="code_pattern",
        path=flagged.path,
        before=flagged.text,
        after=after,
        reason=" ".join(dict.fromkeys(pattern.reason(code, each) for each in shown.flagged)),
        is_weak=is_weak,
    )


def _comments(root: Node) -> Counter[str]:
    """Return what people noted beside the code; no fix takes it away."""
    return Counter(map(text_of, within(root, *_NOTES)))


def _have_moved(code: Code, after: str, now: Node) -> bool:
    """Return whether a note is left at the line above the one that it was about."""
    old, new = code.text.split("\n"), after.split("\n")
    words = {
        text_of(node): (_first_word(old[row]), _first_word(old[row - 1]))
        for node in within(code.root, *_NOTES)
        if 0 < (row := node.start_point.row) < len(old)
    }
    for node in within(now, *_NOTES):
        own, above = words.get(text_of(node), ("", ""))
        row = node.start_point.row
        if own and own != above and row < len(new) and _first_word(new[row]) == above:
            return True
    return False


def _first_word(line: str) -> str:
    """Return the word that a line of code begins with, "" where it is a comment or none."""
    found = re.match(r"\s*(\w+)", line)
    return found[1] if found else ""


def _mended(code: Code, room: _Room, edits: Iterable[TextEdit]) -> str | None:
    """Return the text with the edits made and its surroundings taken off again.

    None where there are no edits, or where they collide or change the surroundings.
    """
    text = edited(code.text, edits)
    if text is None or text == code.text:
        return None
    tidied = _TIDIED.get(code.grammar)
    if tidied is not None and code.whole:
        after = Code(code.grammar, text, grammars.parse(code.grammar, text))
        text = edited(text, tidied(code, after)) or text
    if len(text) < sum(map(len, room)):
        return None
    is_around = text.startswith(room[0]) and text.endswith(room[1])
    return text[len(room[0]) : len(text) - len(room[1])] if is_around else None


def _found(pattern: Pattern, code: Code) -> list[Match]:
    """Return the grammatical matches, outermost only, in the order of the text."""
    matches = [match for match in pattern.find(code) if not match.node.has_error]
    kept: list[Match] = []
    for match in sorted(matches, key=lambda match: (match.node.start_byte, -match.node.end_byte)):
        if not kept or match.node.start_byte >= kept[-1].node.end_byte:
            kept.append(match)
    return kept


def _is_at(match: Match, lines: range, shift: int) -> bool:
    also = (match.captures[name] for name in (SOURCE, CALLED) if name in match.captures)
    nodes = (match.node, *also)
    ends = ((n.start_point.row + 1 - shift, n.end_point.row + 1 - shift) for n in nodes)
    return any(first < lines.stop and last >= lines.start for first, last in ends)


def _predicate(shown: _Shown, code: Code, room: _Room) -> Callable[[str], bool]:
    """Return whether a text has the mended matches still: by what they say, and by their number."""
    gone = _said(shown.flagged)
    left = _said(shown.found) - gone
    pattern, grammar, whole = shown.pattern, code.grammar, code.whole

    def is_weak(text: str) -> bool:
        now = read_code(grammar, text.join(room), whole=whole)
        if now is None:
            return True
        said = _said(_found(pattern, now))
        return said.total() > left.total() or any(said[key] > left[key] for key in gone)

    return is_weak


def _said(matches: Iterable[Match]) -> Counter[str]:
    """Return what the matches say, without regard to layout."""
    return Counter("".join((match.node.text or b"").decode().split()) for match in matches)
