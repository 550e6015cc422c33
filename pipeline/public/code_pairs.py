"""Rows of public data sets as pairs of vulnerable and fixed code, one pair a file.

Two shapes are read, by the columns that the data sets really have: `hitoshura25/crossvul`
(vulnerable_code, fixed_code: whole files) and `hitoshura25/cvefixes` (diff_with_context: a commit's
unified diff; its vulnerable_code is the removed lines alone and is not used).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from secdaemon.pipeline.fixes.languages import NONE, comment, language_named, language_of

CROSSVUL_COLUMNS = ("cwe_id", "language", "vulnerable_code", "fixed_code", "file_pair_id")
CVEFIXES_COLUMNS = ("cve_id", "repo_url", "cwe_id", "diff_with_context")

_CWE = re.compile(r"(?:CWE-)?(\d{1,5})", re.IGNORECASE)
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NAME_LENGTH = 160


class CodePair(msgspec.Struct, frozen=True, kw_only=True):
    """One file before and after its fix; pairs of one `group` never stand in different splits."""

    source: str
    group: str
    language: str
    """As in `languages`; `none` where the file is no code."""
    before: str
    after: str
    path: str = ""
    cwe: str = ""
    """`CWE-<number>`, empty where the row names none."""
    cwe_name: str = ""
    title: str = ""
    """What is wrong in this code, one sentence; only our own pairs have it."""
    fix: str = ""
    """What the fix does, one sentence; only our own pairs have it."""


class CrossvulRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of CrossVul, as far as it is used; a missing value is as an empty one."""

    file_pair_id: str | None = None
    cwe_id: str | None = None
    cwe_description: str | None = None
    language: str | None = None
    language_dir: str | None = None
    vulnerable_code: str | None = None
    fixed_code: str | None = None
    title: str | None = None
    fix: str | None = None


class CvefixesRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of CVEfixes, as far as it is used: one commit."""

    cve_id: str | None = None
    repo_url: str | None = None
    cwe_id: str | None = None
    cwe_name: str | None = None
    diff_with_context: str | None = None


def missing_columns(columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns that a data set lacks to be of either shape, () where it is of one."""
    if set(CVEFIXES_COLUMNS) <= set(columns):
        return ()
    return tuple(name for name in CROSSVUL_COLUMNS if name not in columns)


def pairs_of(row: Mapping[str, Any], source: str) -> list[CodePair]:
    """Return the pairs of a row of either shape, one for each changed file.

    Raises:
        msgspec.ValidationError: a column holds something else than text.
    """
    if "diff_with_context" in row:
        return list(_of_commit(msgspec.convert(row, CvefixesRow), source))
    return [_of_files(msgspec.convert(row, CrossvulRow), source)]


def _of_files(row: CrossvulRow, source: str) -> CodePair:
    stem = (row.file_pair_id or "").rpartition("_")[0] or row.file_pair_id or ""
    language = language_named(row.language or "")
    if language == NONE:
        language = language_named(row.language_dir or "")
    return CodePair(
        source=source,
        group=f"{source}:{stem}",
        language=language,
        before=row.vulnerable_code or "",
        after=row.fixed_code or "",
        cwe=_cwe(row.cwe_id),
        cwe_name=(row.cwe_description or "").partition(" - ")[0].strip()[:_NAME_LENGTH],
        title=row.title or "",
        fix=row.fix or "",
    )


def _of_commit(row: CvefixesRow, source: str) -> Iterator[CodePair]:
    """Yield a pair for each file of the diff; one without code where the diff has none."""
    repository = (row.repo_url or "").rstrip("/").removesuffix(".git").lower()
    named = CodePair(
        source=source,
        group=f"{source}:{repository}#{row.cve_id or ''}",
        language=NONE,
        before="",
        after="",
        cwe=_cwe(row.cwe_id),
        cwe_name=(row.cwe_name or "").strip()[:_NAME_LENGTH],
    )
    files = list(changed_files(row.diff_with_context or ""))
    if not files:
        yield named
    for path, hunks in files:
        language = language_of(path)
        gap = f"\n{comment(language, '…')}\n"
        yield msgspec.structs.replace(
            named,
            path=path,
            language=language,
            before=gap.join("\n".join(before) for before, _ in hunks),
            after=gap.join("\n".join(after) for _, after in hunks),
        )


Hunk = tuple[list[str], list[str]]


def changed_files(diff: str) -> Iterator[tuple[str, list[Hunk]]]:
    """Yield (path, hunks) for each file of a unified diff; a hunk is its lines before and after.

    Files that the commit adds or deletes have nothing on one side and are left out. A hunk ends by
    the counts of its header, so that removed lines which look like headers stay what they are.
    """
    path, old, hunks = "", "", list[Hunk]()
    lines = iter(diff.splitlines())
    for line in lines:
        if line.startswith("--- "):
            old = line[4:]
        elif line.startswith("+++ "):
            if path and hunks:
                yield path, hunks
            path, hunks = _path_of(old, line[4:]), []
        elif path and (header := _HUNK.match(line)):
            counts = [1 if count is None else int(count) for count in header.groups()]
            hunks.append(_hunk(lines, counts[0], counts[1]))
    if path and hunks:
        yield path, hunks


def _path_of(old: str, new: str) -> str:
    names = [name.partition("\t")[0].strip().strip('"') for name in (old, new)]
    if "/dev/null" in names:
        return ""
    return names[1].removeprefix("b/")


def _hunk(lines: Iterator[str], old: int, new: int) -> Hunk:
    before: list[str] = []
    after: list[str] = []
    while len(before) < old or len(after) < new:
        line = next(lines, None)
        if line is None:
            break
        mark, text = line[:1], line[1:]
        if mark in {"-", " ", ""}:
            before.append(text)
        if mark in {"+", " ", ""}:
            after.append(text)
    return before, after


def _cwe(text: str | None) -> str:
    match = _CWE.fullmatch((text or "").strip())
    return f"CWE-{int(match[1])}" if match and int(match[1]) else ""
