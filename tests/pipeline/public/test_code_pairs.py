"""Rows of both public shapes become pairs, file by file."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.public.code_pairs import changed_files, missing_columns, pairs_of

DIFF = """diff --git a/src/a.c b/src/a.c
--- a/src/a.c
+++ b/src/a.c
@@ -1,4 +1,5 @@ int main(void)
 int x;
--- old comment
+check(x);
+use(x);
 done();

@@ -20,2 +21,2 @@
-gone();
+come();
 end();
--- a/docs/notes.md
+++ b/docs/notes.md
@@ -1 +1 @@
-old words
+new words
--- /dev/null
+++ b/src/new.c
@@ -0,0 +1,2 @@
+int fresh;
+int file;
"""


def test_a_diff_is_read_file_by_file() -> None:
    """Hunks keep both sides, header-like lines stay lines, a file that is new is left out."""
    files = dict(changed_files(DIFF))
    assert list(files) == ["src/a.c", "docs/notes.md"]
    before, after = files["src/a.c"][0]
    assert before == ["int x;", "-- old comment", "done();", ""]
    assert after == ["int x;", "check(x);", "use(x);", "done();", ""]
    assert files["src/a.c"][1] == (["gone();", "end();"], ["come();", "end();"])


def test_a_commit_gives_a_pair_a_file() -> None:
    """Language comes from the path, the group from repository and CVE."""
    row = {
        "cve_id": "CVE-2020-1",
        "repo_url": "https://example.org/Acme/App.git/",
        "cwe_id": "CWE-120",
        "cwe_name": "Classic",
        "diff_with_context": DIFF,
        "vulnerable_code": "gone();",
    }
    pairs = pairs_of(row, "cvefixes")
    assert [(pair.path, pair.language) for pair in pairs] == [
        ("src/a.c", "c"),
        ("docs/notes.md", "none"),
    ]
    assert {pair.group for pair in pairs} == {"cvefixes:https://example.org/acme/app#CVE-2020-1"}
    assert "// …" in pairs[0].before
    assert pairs[0].cwe == "CWE-120"


@pytest.mark.parametrize("diff", [None, "", "no diff", "@@ -1 +1 @@\n-a\n+b"])
def test_a_commit_without_a_diff_is_one_empty_pair(diff: str | None) -> None:
    """So that the row is counted."""
    pairs = pairs_of({"cve_id": "CVE-1", "diff_with_context": diff}, "s")
    assert [(pair.before, pair.after) for pair in pairs] == [("", "")]


def test_a_file_pair() -> None:
    """CrossVul's stem is the group; the folder's name helps where the language does not."""
    row = {
        "file_pair_id": "1163_0",
        "cwe_id": "89",
        "cwe_description": "SQL Injection - A query is built from input.",
        "language": "Unknown",
        "language_dir": "py",
        "vulnerable_code": "a",
        "fixed_code": "b",
    }
    (pair,) = pairs_of(row, "crossvul")
    assert (pair.group, pair.language, pair.cwe) == ("crossvul:1163", "python", "CWE-89")
    assert pair.cwe_name == "SQL Injection"


def test_a_wrong_type_is_an_error() -> None:
    """A number where code belongs is refused, not guessed at."""
    with pytest.raises(msgspec.ValidationError):
        pairs_of({"vulnerable_code": 3}, "s")


@pytest.mark.parametrize("cwe", [None, "", "NVD-CWE-noinfo", "CWE-0", "CWE"])
def test_what_is_no_cwe(cwe: str | None) -> None:
    """Placeholders of the data sets are no weakness."""
    assert pairs_of({"cwe_id": cwe}, "s")[0].cwe == ""


def test_columns() -> None:
    """Either shape's columns are enough; what lacks for CrossVul's is named otherwise."""
    assert missing_columns(["cve_id", "repo_url", "cwe_id", "diff_with_context", "x"]) == ()
    assert missing_columns(["vulnerable", "fixed_code", "cwe_id", "language"]) == (
        "vulnerable_code",
        "file_pair_id",
    )


diff_lines = st.lists(
    st.sampled_from(
        [
            "--- a/x.c",
            "+++ b/x.c",
            "--- /dev/null",
            "@@ -1,2 +1,2 @@",
            "@@ -1 +1 @@",
            "-a",
            "+b",
            " c",
            "",
            "\\ No newline",
            "@@",
        ]
    ),
    max_size=30,
)


@given(diff_lines)
def test_any_diff_is_survived(lines: list[str]) -> None:
    """A broken diff gives files with hunks, or nothing."""
    for path, hunks in changed_files("\n".join(lines)):
        assert path
        assert hunks
