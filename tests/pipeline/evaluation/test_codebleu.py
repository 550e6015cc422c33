"""CodeBLEU and what it stands on: grammars of every language, data flow, each of the matches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.evaluation.codebleu import codebleu
from secdaemon.pipeline.evaluation.dataflow import edges

PYTHON = "def total(items):\n    found = 0\n    for item in items:\n        found = found + item\n    return found\n"

WHOLE = {
    "c": "int f(int a) { int b = a; return b; }",
    "cpp": "int f(int a) { auto b = a; return b; }",
    "csharp": "class A { int F(int a) { int b = a; return b; } }",
    "css": "a { color: red; }",
    "dockerfile": "FROM debian:12\nRUN apt-get update\n",
    "go": "package m\n\nfunc f(a int) int {\n\tb := a\n\treturn b\n}\n",
    "groovy": "def b = a\nprintln(b)\n",
    "html": "<p>Text</p>",
    "java": "class A { int f(int a) { int b = a; return b; } }",
    "javascript": "const b = a; call(b);",
    "json": '{"a": [1, null]}',
    "kotlin": "fun f(a: Int): Int {\n    val b = a\n    return b\n}\n",
    "objective-c": "int f(int a) { int b = a; return b; }",
    "php": "<?php $b = $a; echo $b;",
    "python": "b = a\nprint(b)\n",
    "ruby": "b = a\nputs b\n",
    "rust": "fn f(a: i32) -> i32 { let b = a; b }",
    "scala": "object A { val b = a; println(b) }",
    "shell": 'b=$a\necho "$b"\n',
    "swift": "let b = a\nprint(b)\n",
    "terraform": 'resource "a" "b" {\n  c = true\n}\n',
    "toml": "[a]\nb = 1\n",
    "typescript": "const b: number = a; call(b);",
    "xml": "<a><b/></a>",
    "yaml": "a:\n  - b\n",
}


@pytest.mark.parametrize("language", sorted(WHOLE))
def test_every_language_is_read_without_an_error(language: str) -> None:
    """Grammatical code has no error, is all like itself, and assignments flow where they exist."""
    code = WHOLE[language]
    grammar = grammars.grammar_of(language, code)
    assert grammar is not None
    root = grammars.parse(grammar, code)
    assert grammars.errors(root) == 0
    found = codebleu(code, code, language)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    computed = [edge for edge in edges(root) if edge[0] == "computed from"]
    assert bool(computed) == grammars.flows(grammar)


def test_part_of_a_php_file_is_no_text() -> None:
    """PHP without its tag is read as PHP too, and its errors are seen."""
    grammar = grammars.grammar_of("php", "$a = 1;")
    assert grammar is not None
    assert grammars.errors(grammars.parse(grammar, "$a = 1;")) == 0
    assert grammars.errors(grammars.parse(grammar, "$a = (1;")) > 0


def test_a_language_without_a_grammar_has_no_value() -> None:
    """Neither an unknown language nor code without a token can be compared."""
    assert codebleu("a", "a", "cobol") is None
    assert codebleu("a", "a", "") is None
    assert codebleu(" \n", "a", "python") is None


def test_keywords_are_the_grammar_s_own() -> None:
    """The words that the grammar spells out are the language's keywords, signs are not."""
    words = grammars.keywords("python")
    assert {"def", "return", "lambda", "import"} <= words
    assert not {"=", "(", "identifier", "_expression"} & words


def test_the_matches_are_what_the_paper_counts() -> None:
    """One changed operand: the n-grams by hand, one subtree of the reference missing."""
    found = codebleu("a = b + c", "a = b + d", "python")
    assert found is not None
    by_order = (4 / 5, 3 / 4, 2 / 3, 1 / 2)
    assert found.ngram == pytest.approx(math.prod(by_order) ** 0.25)
    assert found.weighted_ngram == pytest.approx(found.ngram, abs=0.02)
    assert found.syntax == 1.0
    assert found.dataflow == 1.0
    other = codebleu("a = b + c", "a = b", "python")
    assert other is not None
    assert other.syntax is not None
    assert other.syntax < 1.0
    assert other.ngram < found.ngram


def test_a_keyword_weighs_more_than_another_word() -> None:
    """A lost keyword costs the weighted match more than a lost name does."""
    without_keyword = codebleu("return value", "value value", "python")
    without_name = codebleu("return value", "return other", "python")
    assert without_keyword is not None
    assert without_name is not None
    assert without_keyword.weighted_ngram < without_name.weighted_ngram


def test_nothing_is_worth_nothing() -> None:
    """No code at all has the value 0, and its data flow too."""
    found = codebleu(PYTHON, "", "python")
    assert found is not None
    assert found.value == 0.0


def test_names_do_not_matter_to_data_flow_and_comments_not_to_structure() -> None:
    """Renamed variables keep the data flow, an added comment keeps the syntax match."""
    renamed = codebleu(PYTHON, PYTHON.replace("item", "one").replace("found", "x"), "python")
    commented = codebleu(PYTHON, PYTHON.replace("    return", "    # done\n    return"), "python")
    assert renamed is not None
    assert commented is not None
    assert renamed.dataflow == 1.0
    assert renamed.ngram < 1.0
    assert commented.syntax == 1.0
    assert commented.dataflow == 1.0


def test_a_variable_comes_from_where_it_was_computed() -> None:
    """An assignment's value flows into its target, a use comes from the last one before it."""
    found = edges(grammars.parse("python", "b = a\nc = b + a\nprint(c)\n"))
    assert found == {
        ("computed from", 1, (0,)): 1,
        ("comes from", 1, (1,)): 1,
        ("comes from", 0, (0,)): 1,
        ("computed from", 2, (0, 1)): 1,
        ("comes from", 2, (2,)): 1,
    }


def test_configuration_has_three_matches() -> None:
    """Where values do not flow, the other matches share the weight."""
    found = codebleu("a:\n  - b\n  - c\n", "a:\n  - b\n", "yaml")
    assert found is not None
    assert found.dataflow is None
    assert found.syntax is not None
    mean = (found.ngram + found.weighted_ngram + found.syntax) / 3
    assert found.value == pytest.approx(mean)


@given(st.text(max_size=200), st.sampled_from(sorted(WHOLE)))
def test_any_text_has_a_value_between_nothing_and_all(text: str, language: str) -> None:
    """Whatever a model writes is compared without an error, and with the same result again."""
    found = codebleu(WHOLE[language], text, language)
    assert found is not None
    parts = (found.value, found.ngram, found.weighted_ngram, found.syntax, found.dataflow)
    assert all(part is None or 0.0 <= part <= 1.0 for part in parts)
    assert found == codebleu(WHOLE[language], text, language)
