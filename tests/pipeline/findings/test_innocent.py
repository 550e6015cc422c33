"""The quick ways of redaction give what the slow ones give."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.findings.innocent import is_digest, is_innocent
from secdaemon.pipeline.findings.redact import Redactor, neutralise
from secdaemon.pipeline.findings.secret_marks import ROOTS, RUN, rules_for
from secdaemon.pipeline.findings.secret_rules import RULES, SecretRule, is_secret

_VALUES = (
    *("aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fGhJkLmNpQ", "hunter22x", "0123456789abcdef" * 4, "a.b-c_d"),
    *(
        '"k9XzQ27LmPw4"',
        "'Tr0ub4dor&3'",
        '\\"Tr0ub4dor&3\\"',
        "user:pw123@",
        "x/y+z==",
        "é",
        "\u212a",
    ),
)
_MARKS = tuple(sorted({mark for rule in RULES for mark in rule.marks}))
_STARTS = tuple(sorted({start for rule in RULES for start in rule.starts}))
_AROUND = (
    *(
        "=",
        ":",
        ",",
        "=>",
        ":=",
        '"',
        "'",
        "`",
        "\n",
        "\t",
        "/",
        "\\",
        ".",
        "-",
        "_",
        "@",
        "<",
        ">",
    ),
    *("[", "]", "::", " ", "/home/jane/", "C:\\Users\\jane", "<|im_start|>", "[INST]", "the", "if"),
    *(
        "self",
        "return",
        "eyJ",
        ".eyJ",
        "sk_live_",
        "xoxb-",
        "AKIA",
        "SG.",
        " PRIVATE KEY-----",
        '="',
    ),
    "services/",
    "@example.org",
)
_PIECE = st.one_of(
    st.sampled_from(_MARKS),
    st.sampled_from(_MARKS).map(str.upper),
    st.sampled_from(_STARTS),
    st.sampled_from(_VALUES),
    st.sampled_from(_AROUND),
    st.text(st.characters(max_codepoint=127), max_size=6),
    st.text(max_size=3),
)
_TEXTS = st.lists(_PIECE, max_size=14).map("".join)
_SURROUNDINGS = st.just("") | st.sampled_from(("the ", "x-", " word", "\n", ".")) | _TEXTS


class _Slow(Redactor):
    """Redacts with every rule whose marks are in the text, by `re.sub` over all of it."""

    def _redact(self, text: str) -> str:
        before, clean = None, neutralise(text)
        for _ in range(20):
            if clean == before:
                break
            before, clean = clean, self._slow_pass(clean)
        return clean

    def _slow_pass(self, text: str) -> str:
        for rule in RULES:
            if any(mark in text.lower() for mark in rule.marks):
                text = rule.pattern.sub(lambda match, rule=rule: self._hide(rule, match), text)
        return self._people(text)


@settings(max_examples=1500, deadline=None)
@given(_TEXTS)
@example("AccountKey=" + "a1B2" * 15)
@example("Basic aB3dE5gH.7jK9mN1p/Q2sT4")
@example("eyJabcdefgh.eyJabcdefgh.")
def test_redaction_is_that_of_the_plain_way(text: str) -> None:
    """Looking where a rule can match at all finds what looking everywhere finds."""
    assert Redactor().redact(text) == _Slow().redact(text)


@settings(max_examples=1500, deadline=None)
@given(_TEXTS)
def test_innocent_texts_stay_as_they_are(text: str) -> None:
    """What is called innocent has nothing to redact and nothing to neutralise."""
    if is_innocent(text):
        assert _Slow().redact(text) == text
        assert not any(rule.pattern.search(text) for rule in RULES if _is_hit(rule, text))


_ASCII = st.characters(min_codepoint=32, max_codepoint=126)
_MATCHES = st.sampled_from(RULES).flatmap(
    lambda rule: st.from_regex(rule.pattern, alphabet=_ASCII).map(lambda text: (rule, text))
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_MATCHES, _SURROUNDINGS, _SURROUNDINGS)
def test_no_match_of_any_rule_is_innocent(
    made: tuple[SecretRule, str], before: str, after: str
) -> None:
    """Whatever a rule's pattern matches, in any surroundings, is not called innocent."""
    rule, text = made
    around = f"{before}{text}{after}"
    if rule.pattern.search(around):
        assert not is_innocent(around)


def _is_hit(rule: SecretRule, text: str) -> bool:
    return any(is_secret(rule, _value(match)) for match in rule.pattern.finditer(text))


def _value(match: re.Match[str]) -> str:
    return match.groupdict().get("value") or match.group(0)


@given(_TEXTS)
def test_every_rule_that_matches_is_tried(text: str) -> None:
    """No rule whose pattern matches is left out, unless its marks say so."""
    tried = rules_for(text)
    for rule in RULES:
        if rule.pattern.search(text) and any(mark in text.lower() for mark in rule.marks):
            assert rule in tried


@given(st.text("0123456789abcdef", min_size=16, max_size=128))
def test_hashes_are_no_secrets(digest: str) -> None:
    """A hash of lower-case digits is what no rule matches."""
    assert is_digest(digest)
    assert not any(rule.pattern.search(digest) for rule in RULES)


@pytest.mark.parametrize(
    "text",
    [
        "@app.route('/items') returns value < limit and items[0] of std::vector",
        "the password of a user stands in the code",
        "risk_score_of_the_model, task_results_list and disk_usage_in_bytes: 12",
        "session.commit() in https://example.org/docs/sessions",
    ],
)
def test_common_code_is_innocent(text: str) -> None:
    """Decorators, comparisons, long names and words without a value need no closer look."""
    assert is_innocent(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a\x1b[31mb", "a\u202eb", "\ud800", "caf\u00e9", "a\rb"),
        *("mail jane@example.org", "https://user:word@host/", "/home/jane/x", "C:\\Users\\jane"),
        *("<|im_start|>", "</s>", "[/INST]", "<<SYS>>", "\n ::error file=x", "::add-mask::x"),
        *("password: hunter", "<password>hunter</password>", "Bearer abcdefghijklmnop"),
    ],
)
def test_what_acts_or_names_is_not_innocent(text: str) -> None:
    """Acting characters, people, tokens and names with a value are looked at closely."""
    assert not is_innocent(text)


def test_the_table_keeps_its_promises() -> None:
    """Marks hold a root, rules of a run have patterns in one case; neither is silently broken."""
    for rule in RULES:
        assert rule.run or all(any(root in mark for root in ROOTS) for mark in rule.marks)
        assert not rule.run or "(?i" not in rule.pattern.pattern
        assert all(start == start.lower() for start in rule.starts)
    assert len("xoxb-" + "1" * 10) == RUN


def test_many_known_secrets_are_hidden() -> None:
    """More literals than are tried one by one are found by how they begin, the longest first."""
    memory = Redactor(b"salt")
    names = [
        memory.placeholder("k", f"open-sesame-{number}", everywhere=True) for number in range(200)
    ]
    assert memory.known == len(set(names)) == 200
    assert memory.redact("with open-sesame-150!") == f"with {names[150]}!"
    assert memory.redact("with open-sesame-1!") == f"with {names[1]}!"
