"""Words of code and of findings, and queries that hostile text cannot leave."""

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from past_runs import finding_of

from secdaemon.pipeline.knowledge.words import (
    COLUMNS,
    Document,
    document_of,
    match_of,
    parts,
    whole,
    words,
)


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("userVerification", ["user", "verification"]),
        ("HTTPServerError", ["http", "server", "error"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("sha256Digest", ["sha", "256", "digest"]),
        ("MAX_RETRY_COUNT", ["max", "retry", "count"]),
        ("plain", []),
        ("x1", []),
    ],
)
def test_identifiers_are_split_where_people_read_a_border(name: str, pieces: list[str]) -> None:
    """Case, underscores and digits are borders; what is one word stays out of the parts."""
    assert list(parts(name)) == pieces


def test_words_keep_identifiers_whole() -> None:
    """An identifier is one word, in lower case; single characters and giants are none."""
    assert list(words(f"a = getUser_by(id) + {'x' * 65}")) == ["getuser_by", "id"]


def test_names_are_one_word_and_its_words() -> None:
    """A CWE is found whole, so that CWE-89 is not every text with an 89 in it."""
    assert whole("CWE-89") == "cwe_89"
    document = document_of(finding_of("sql", 1), "x = runQuery(a)")
    assert {"cwe_89", "python_audit_sql_injection", "sql", "audit"} <= set(document.rule.split())
    assert document.code.split() == ["runquery"]
    assert {"run", "query", "sql_1", "py"} <= set(document.parts.split())


def table(document: Document) -> sqlite3.Connection:
    """Return an index with one document in it."""
    db = sqlite3.connect(":memory:")
    columns = ", ".join(COLUMNS)
    db.execute(
        f"CREATE VIRTUAL TABLE words USING fts5({columns}, tokenize=\"unicode61 tokenchars '_'\")"
    )
    db.execute(
        f"INSERT INTO words ({columns}) VALUES (?, ?, ?, ?)",
        [getattr(document, column) for column in COLUMNS],
    )
    return db


@given(st.fixed_dictionaries(dict.fromkeys(COLUMNS, st.text(max_size=60))))
def test_a_query_of_any_text_is_accepted_by_sqlite(texts: dict[str, Any]) -> None:
    """Whatever stands in a finding, its query is one that SQLite can answer."""
    document = Document(**texts)
    match = match_of(document)
    if match is not None:
        table(document).execute("SELECT * FROM words WHERE words MATCH ?", (match,)).fetchall()


@pytest.mark.parametrize(
    "text", ['" OR rule:*', "NEAR(a b)", "rule : (x) AND", "a* ^b -c", "'; DROP TABLE words; --"]
)
def test_query_syntax_in_a_text_is_words_only(text: str) -> None:
    """Operators, quotes and column names of a foreign text are looked for, not obeyed."""
    document = document_of(finding_of("sql", 1), text)
    match = match_of(document)
    assert match is not None
    assert (
        len(table(document).execute("SELECT * FROM words WHERE words MATCH ?", (match,)).fetchall())
        == 1
    )


def test_a_text_without_words_gives_no_query() -> None:
    """Nothing to look for is None, which the search takes for no result."""
    assert match_of(Document(rule="", prose="- + .", code="", parts="")) is None


def test_a_huge_text_gives_a_bounded_query() -> None:
    """Some megabytes of different words are cut to what SQLite takes."""
    text = " ".join(f"word{n}" for n in range(300_000))
    document = document_of(finding_of("sql", 1), text)
    match = match_of(document)
    assert match is not None
    assert len(match) < 20_000
    assert table(document).execute("SELECT * FROM words WHERE words MATCH ?", (match,)).fetchall()
