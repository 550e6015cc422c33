"""The embedded Stage 1 source: enough pairs, all different, all parseable, all explained."""

import ast
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib import import_module

import pytest
import tree_sitter
import yaml

from secdaemon.pipeline.embedded.pairs import LANGUAGE_DIRS, Pair, load_cwes, load_pairs

PAIRS = load_pairs()
MAX_SIDE = 1200
GRAMMARS = {
    "c": "tree_sitter_c.language",
    "go": "tree_sitter_go.language",
    "java": "tree_sitter_java.language",
    "javascript": "tree_sitter_javascript.language",
    "kotlin": "tree_sitter_kotlin.language",
    "python": "tree_sitter_python.language",
    "typescript": "tree_sitter_typescript.language_typescript",
}
# Shapes of real credentials: cloud keys, forge and chat tokens, private keys, signed tokens.
CREDENTIAL = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|xox[abp]-\w+|-----BEGIN|eyJ[\w-]{10,}\.|hf_\w{20,}|sk-\w{20,}"
)

sides = pytest.mark.parametrize(
    ("language", "code"),
    [
        pytest.param(pair.language, code, id=f"{pair.language}-{pair.file_pair_id}-{side}")
        for pair in PAIRS
        for side, code in (("vulnerable", pair.vulnerable_code), ("fixed", pair.fixed_code))
    ],
)


@cache
def _parser(language: str) -> tree_sitter.Parser:
    module, function = GRAMMARS[language].split(".")
    grammar: Callable[[], object] = getattr(import_module(module), function)
    return tree_sitter.Parser(tree_sitter.Language(grammar()))


def _normalised(code: str) -> str:
    return "".join(code.split())


def _all_code() -> list[str]:
    return [code for pair in PAIRS for code in (pair.vulnerable_code, pair.fixed_code)]


def test_there_is_enough_to_learn_from() -> None:
    """The source keeps its floors of pairs, weaknesses and languages."""
    assert len(PAIRS) >= 120
    assert len({pair.cwe_id for pair in PAIRS}) >= 15
    assert len({pair.language for pair in PAIRS}) >= 6


def test_every_language_has_its_share() -> None:
    """No language is there for show: each one listed has at least fifteen pairs."""
    count = Counter(pair.language for pair in PAIRS)
    assert set(count) == set(LANGUAGE_DIRS)
    assert min(count.values()) >= 15


def test_loading_twice_gives_the_same_rows() -> None:
    """The order and the content of the rows are the same at every load."""
    assert load_pairs() == PAIRS


def test_pair_ids_are_unique() -> None:
    """A pair is named by its file_pair_id alone."""
    ids = [pair.file_pair_id for pair in PAIRS]
    assert len(ids) == len(set(ids))


def test_a_group_is_named_by_more_than_one_pair() -> None:
    """A group that only one entry names is a slip of the pen, as is one that is an entry's id."""
    groups = Counter(pair.file_pair_id.rpartition("_")[0] for pair in PAIRS)
    shared = {group for group, count in groups.items() if count > 1}
    assert shared == {"tls-verification", "webauthn-origin", "zip-slip"}


def test_no_code_stands_twice() -> None:
    """No side of any pair equals any other side of any pair once white space is ignored."""
    count = Counter(_normalised(code) for code in _all_code())
    assert [code for code, times in count.items() if times > 1] == []


def test_titles_and_fixes_are_written_for_each_pair() -> None:
    """Every pair says in words of its own what is wrong and what the fix does."""
    for texts in ([pair.title for pair in PAIRS], [pair.fix for pair in PAIRS]):
        assert len(set(texts)) == len(texts)
        assert all(text.endswith(".") and len(text) >= 30 and "\n" not in text for text in texts)


@sides
def test_a_side_is_short(language: str, code: str) -> None:
    """Each side is a whole small unit that fits the context of the smallest model."""
    assert 150 <= len(code) <= MAX_SIDE, language
    assert 6 <= len(code.splitlines()) <= 30


@sides
def test_a_side_parses(language: str, code: str) -> None:
    """Each side, the vulnerable one too, is well-formed in its language."""
    if language == "yaml":
        documents = list(yaml.safe_load_all(code))
        assert documents
        assert all(isinstance(document, dict) for document in documents)
        return
    assert not _parser(language).parse(code.encode()).root_node.has_error
    if language == "python":
        ast.parse(code)


@sides
def test_a_side_holds_no_credential(language: str, code: str) -> None:
    """Nothing in the code has the shape of a real secret."""
    assert CREDENTIAL.search(code) is None, language


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.file_pair_id)
def test_most_of_a_pair_is_unchanged(pair: Pair) -> None:
    """A fix leaves the frame of the code as it was: some lines stand on both sides."""
    before = Counter(line.strip() for line in pair.vulnerable_code.splitlines() if line.strip())
    after = Counter(line.strip() for line in pair.fixed_code.splitlines() if line.strip())
    assert (before & after).total() >= before.total() * 0.35


def test_every_weakness_is_described() -> None:
    """Each CWE of a pair is in the catalogue, and each row carries its name and description."""
    weaknesses = load_cwes()
    assert len(weaknesses) >= 60
    for pair in PAIRS:
        weakness = weaknesses[pair.cwe_id]
        assert pair.cwe_description == f"{weakness.name} - {weakness.description}"


def test_the_catalogue_is_in_order_and_specific() -> None:
    """Ids are well-formed and ascending; no two weaknesses share a description or a remedy."""
    weaknesses = load_cwes()
    assert all(re.fullmatch(r"CWE-[1-9]\d*", key) and key == w.id for key, w in weaknesses.items())
    numbers = [int(key.removeprefix("CWE-")) for key in weaknesses]
    assert numbers == sorted(numbers)
    for texts in (
        [w.name for w in weaknesses.values()],
        [w.description for w in weaknesses.values()],
        [w.remedy for w in weaknesses.values()],
    ):
        assert len(set(texts)) == len(texts)
