"""Fixes learned from history: what the project's own developers changed to end a finding.

The finding stood in a scan of one commit, and a later scan by the same tool, of a commit that came
after, no longer has it. Their change of its file is cut to the hunks that belong to the finding;
whatever could be read two ways is left out, with its reason.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from secdaemon.pipeline.context import lines_at
from secdaemon.pipeline.findings.model import Category, Finding
from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.fixes.belonging import (
    Belonging,
    LeftOut,
    applied,
    belonging,
    flagged_lines,
)
from secdaemon.pipeline.fixes.changes import describe
from secdaemon.pipeline.fixes.code_words import says_more
from secdaemon.pipeline.fixes.commits import (
    Between,
    between,
    changed_files,
    commits_of,
    is_merge,
)
from secdaemon.pipeline.fixes.definitions import names_in
from secdaemon.pipeline.fixes.diffs import Hunk, hunks_of
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.quote import inline

_FEW_LINES = 10
"""Of a file this short, all may change and it is still the same file."""
_REWRITTEN = 0.5
_SHOWN_COMMIT = 10
_MIN_MOVED = 8
"""Characters without white space, from which on a line that comes back is the line that went."""
_SUPPRESSION = re.compile(
    r"nosemgrep|semgrep-?ignore|nosec\b|(?:checkov|bridgecrew):skip|NOSONAR|nolint|trivy:ignore"
    r"|tfsec:ignore|kics-scan\s+(?:ignore|disable)|gitleaks:allow|lgtm\b|codeql\[|eslint-disable"
    r"|pylint:\s*disable|\bnoqa\b|@?Suppress(?:Warnings|Lint)?\s*\(|tools:ignore|hadolint\s+ignore"
    r"|snyk:ignore|noinspection|rubocop:disable|phpcs:ignore|detekt:|checkstyle:off"
    r"|pragma:\s*allowlist|zizmor:\s*ignore|skipcq|deepsource",
    re.IGNORECASE,
)
_IGNORE_LISTS = {
    "checkov": (".checkov.yaml", ".checkov.yml", ".checkov.baseline"),
    "gitleaks": (".gitleaksignore", ".gitleaks.toml", "gitleaks.toml"),
    "osv-scanner": ("osv-scanner.toml",),
    "semgrep": (".semgrepignore", ".semgrep.yml", ".semgrep.yaml"),
    "trivy": (".trivyignore", ".trivyignore.yaml", "trivy.yaml", "trivy-secret.yaml"),
    "": (".snyk", ".bandit", ".hadolint.yaml", ".tfsec.yml", "sonar-project.properties"),
}
"""What tells a scanner not to look: by tool, and under "" those of others."""


def learned(  # noqa: PLR0917 - a finding, two moments, and one way out a reason
    finding: Finding,
    before_commit: str | None,
    after_commit: str | None,
    source_dir: Path,
    others: Sequence[Finding] = (),
    present: Collection[tuple[str, str, str]] = (),
) -> Fix | LeftOut:
    """Return the developers' own fix of a finding, or why there is none to be learned.

    Args:
        finding: as the scan of `before_commit` has it.
        before_commit: where it was last seen.
        after_commit: where the same tool no longer sees it.
        source_dir: a checkout that knows both.
        others: the other findings of its file that went between the same two commits.
        present: (tool, rule, path) of what the later scan reports.
    """
    if finding.category is Category.SECRET:
        return LeftOut("a leaked secret is not shown")
    is_elsewhere = finding.target and finding.category is not Category.CONFIGURATION
    if not finding.path or is_elsewhere:
        return LeftOut("it is in no file of the repository")
    span = between(str(source_dir), before_commit, after_commit)
    if span is None:
        return LeftOut("its commits are the same, not known, or one did not lead to the other")
    path = _path_after(span, finding)
    if isinstance(path, LeftOut):
        return path
    if path != finding.path and (finding.tool, finding.rule, path) in present:
        return LeftOut("its file was renamed and is reported again")
    return _learned(finding, span, path, others)


def _learned(
    finding: Finding, span: Between, path: str, others: Sequence[Finding]
) -> Fix | LeftOut:
    before = _text(span.folder, span.before, finding.path or "")
    after = _text(span.folder, span.after, path)
    if before is None or after is None:
        return LeftOut("its file cannot be read as text")
    found = cut(finding, before, after, others)
    if isinstance(found, LeftOut):
        return found
    commit = _commit(span, path, before, after, found)
    return commit if isinstance(commit, LeftOut) else _fix(finding, before, found, commit)


def _text(folder: str, commit: str, path: str) -> str | None:
    lines = lines_at(folder, commit, path)
    return "\n".join((*lines, "")) if lines else None


def _path_after(span: Between, finding: Finding) -> str | LeftOut:
    """Return what the finding's file is called after the change."""
    files = changed_files(span)
    names = {*_IGNORE_LISTS[""], *_IGNORE_LISTS.get(finding.tool, ())}
    if any(file.new.rpartition("/")[2] in names and file.kind != "D" for file in files):
        return LeftOut("what the scanner is told to ignore changed too")
    own = next((file for file in files if file.old == finding.path and file.kind != "A"), None)
    if own is None:
        return LeftOut("its file did not change")
    return LeftOut("its file was deleted") if own.kind == "D" else own.new


def cut(
    finding: Finding, before: str, after: str, others: Sequence[Finding] = ()
) -> Belonging | LeftOut:
    """Return the changes of a file's text that are the fix of a finding in it.

    Both texts end with a line feed; it is pure, and never raises for what the texts hold.
    """
    if len(_SUPPRESSION.findall(after)) > len(_SUPPRESSION.findall(before)):
        return LeftOut("a comment tells the scanner to be silent")
    hunks, lines = hunks_of(before, after), before.split("\n")
    if not hunks:
        return LeftOut("its file did not change")
    if finding.package is None and _is_rewritten(hunks, len(lines) - 1):
        return LeftOut("its file was rewritten")
    found = belonging(finding, lines, hunks, others)
    if isinstance(found, LeftOut):
        return found
    doubt = next(_doubts(finding, lines, hunks, found), None)
    return LeftOut(doubt) if doubt else found


def _is_rewritten(hunks: Sequence[Hunk], count: int) -> bool:
    gone = sum(hunk.stop - hunk.start for hunk in hunks)
    return gone > max(_FEW_LINES, _REWRITTEN * count)


def _doubts(
    finding: Finding, lines: list[str], hunks: Sequence[Hunk], found: Belonging
) -> Iterator[str]:
    """Yield why the changes at a finding are no fix to be shown."""
    path = finding.path or ""
    before, after = "\n".join(lines), "\n".join(applied(lines, found.hunks))
    removed = [line for hunk in found.core for line in lines[hunk.start - 1 : hunk.stop - 1]]
    added = [line for hunk in found.core for line in hunk.lines]
    all_added = [line for hunk in found.hunks for line in hunk.lines]
    flagged = flagged_lines(finding)
    if not removed and flagged and finding.category is Category.CODE:
        own = lines[flagged.start - 1 : flagged.stop - 1]
        if not _is_closed("\n".join(added)) or not names_in(own) & names_in(added):
            yield "its own lines did not change"
    if not says_more(path, before, after):
        yield "only comments or the layout changed"
    if _are_moved(removed, added, [hunk for hunk in hunks if hunk not in found.core]):
        yield "its lines were only moved"
    if finding.category is not Category.CONFIGURATION and not any(map(str.strip, added)):
        yield "its code was removed"
    if any(redact(line) != line for line in (*removed, *all_added)):
        yield "something secret or personal stands in the change"
    if parses(path, before, after) is False:
        yield "its change alone does not parse"


def _is_closed(code: str) -> bool:
    """Return whether every bracket that code opens is closed in it, and none that it did not."""
    depth = 0
    for sign in re.findall(r"[{}()\[\]]", code):
        depth += 1 if sign in "{([" else -1
        if depth < 0:
            return False
    return depth == 0


def _are_moved(removed: list[str], added: list[str], elsewhere: Sequence[Hunk]) -> bool:
    """Return whether every telling line that went stands in another place of the file now."""
    squeezed = ["".join(line.split()) for line in removed]
    gone = {line for line in squeezed if len(line) >= _MIN_MOVED}
    gone -= {"".join(line.split()) for line in added}
    there = {"".join(line.split()) for hunk in elsewhere for line in hunk.lines}
    return bool(gone) and gone <= there


def _commit(span: Between, path: str, before: str, after: str, found: Belonging) -> str | LeftOut:
    """Return the commit that made the change; one that several had a part in is nobody's fix."""
    lines: list[range] = []
    offset = 0
    for hunk in hunks_of(before, after):
        for part in found.core:
            if hunk.start <= part.start and part.stop <= hunk.stop:
                first = part.start + offset
                lines.append(range(first, first + len(part.lines)))
        offset += len(hunk.lines) - (hunk.stop - hunk.start)
    commits = commits_of(span, path, tuple(lines))
    if len(commits) > 1:
        return LeftOut("several commits made the change")
    commit = next(iter(commits), span.after)
    return LeftOut("a merge made the change") if is_merge(span, commit) else commit


def _fix(finding: Finding, before: str, found: Belonging, commit: str) -> Fix:
    lines = before.split("\n")
    old = "\n".join(line for hunk in found.core for line in lines[hunk.start - 1 : hunk.stop - 1])
    new = "\n".join(line for hunk in found.core for line in hunk.lines)
    what = describe(old, new)
    if finding.package is not None and found.version is not None:
        name, version = inline(finding.package.name), inline(finding.package.version or "")
        what = f"{name} goes from {version} to {inline(found.version)}"
    return Fix(
        approach="history",
        path=finding.path or "",
        before=before,
        after="\n".join(applied(lines, found.hunks)),
        reason=(
            f"{what}. The project's developers fixed it this way in commit "
            f"{inline(commit[:_SHOWN_COMMIT])}; {inline(finding.tool, 60)} no longer reports it."
        ),
    )
