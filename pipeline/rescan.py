"""The scanners' own word on a fix: the rule run again over the file before and after it.

Each program is run once for all fixes, in a folder of its own that holds nothing but the files in
question, with the network, its telemetry and configuration files of the repository left out. Its
report is read by the parsers that read artifacts.
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from secdaemon.config.programs import find_program, run_program
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.fixes.model import Files, Fix

SECONDS = 300.0
"""That one scanner may take for all fixes; past it, it has no say."""
MAX_FIXES = 200
"""Of one scanner in a run."""

_MAX_RULE_FILES = 200
_REPORT_BYTES = 1 << 28
"""Of a scanner's report; zizmor's is some 5 kB for each thing that it finds."""
_RULE_FILE = re.compile(r"semgrep[^/]*(/.*)?\.ya?ml$", re.IGNORECASE)
_CHECK = re.compile(r"CKV2?_[A-Z0-9]+_\d+")
_REPORT = "report.json"
_SIDES = ("before", "after")

Asked = tuple[Finding, Fix]
_Fired = tuple[str, str, int | None]
"""Path, rule and line of what a scanner reports."""
Run = Callable[[Sequence[str], float, str], str | None]
"""(command, seconds, folder) -> what the program printed, None where it did not end well."""


class _Scanner(msgspec.Struct, frozen=True):
    """How a scanner is asked about some findings."""

    program: str
    command: Callable[[Sequence[Asked], Path, Files | None], list[str] | None]
    """(fixes, the folder with the files, the project's files) -> arguments, None where it knows
    none of the rules."""


class Rescan:
    """Asks the scanners that are installed here."""

    def __init__(self, files: Files | None, run: Run | None = None) -> None:
        """Take the project's files, which may hold the rules; `run` starts a program."""
        self._files = files
        self._run = run or _run

    def gone(self, asked: Sequence[Asked]) -> list[bool | None]:
        """Return for each fix whether its rule, which fires before it, no longer does after it.

        None where nobody can tell: the scanner is not installed or does not know the rule, or the
        rule does not fire on the file as it was.
        """
        said: list[bool | None] = [None] * len(asked)
        for tool, scanner in _SCANNERS.items():
            mine = [at for at, (finding, _) in enumerate(asked) if finding.tool == tool][:MAX_FIXES]
            program = find_program(scanner.program, os.environ) if mine else None
            if program is None:
                continue
            answers = self._asked(scanner, program, [asked[at] for at in mine])
            for at, answer in zip(mine, answers, strict=True):
                said[at] = answer
        return said

    def _asked(self, scanner: _Scanner, program: str, asked: Sequence[Asked]) -> list[bool | None]:
        with tempfile.TemporaryDirectory(prefix="secdaemon-rescan-") as name:
            folder = Path(name)
            _lay_out(folder / "files", asked)
            arguments = scanner.command(asked, folder, self._files)
            if arguments is None:
                return [None] * len(asked)
            printed = self._run([program, *arguments], SECONDS, str(folder / "files"))
            if printed is None:
                return [None] * len(asked)
            (folder / "report").mkdir()
            (folder / "report" / _REPORT).write_text(printed, encoding="utf-8")
            fired = Counter(
                ((path or "").lstrip("/"), _last(found.rule), line)
                for found in parse_folder(folder / "report").kept
                for path, line in (
                    (found.path, found.line),
                    *((p.path, p.line) for p in found.places),
                )
            )
        return [_answer(at, finding, fix, fired) for at, (finding, fix) in enumerate(asked)]


def _answer(at: int, finding: Finding, fix: Fix, fired: Counter[_Fired]) -> bool | None:
    """Return whether the rule fires less often by as much as it fired at the finding's own line.

    Elsewhere in the file it may fire as before: that is another finding. None where it did not fire
    at that line.
    """
    rule = _last(finding.rule)
    before, after = (
        {line: n for (path, name, line), n in fired.items() if (path, name) == (member, rule)}
        for member in (_member(at, side, fix) for side in _SIDES)
    )
    here = before.get(finding.line, 0) if finding.line else min(1, len(before))
    return sum(after.values()) <= sum(before.values()) - here if here else None


def _member(at: int, side: str, fix: Fix) -> str:
    """Return where a side of a fix lies, in the folder that is scanned."""
    return f"{at}/{side}/{fix.path}"


def _last(rule: str) -> str:
    """Return a rule's own name: Semgrep puts the folders before it in which it lies."""
    return rule.rpartition(".")[2].rpartition("/")[2]


def _lay_out(folder: Path, asked: Iterable[Asked]) -> None:
    for at, (_, fix) in enumerate(asked):
        for side, text in (("before", fix.before), ("after", fix.after)):
            root = (folder / str(at) / side).resolve()
            path = (root / fix.path).resolve()
            if not path.is_relative_to(root):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _checkov(asked: Sequence[Asked], folder: Path, files: Files | None) -> list[str] | None:
    checks = sorted({finding.rule for finding, _ in asked if _CHECK.fullmatch(finding.rule)})
    if not checks:
        return None
    wanted = ("--check", ",".join(checks), "--output", "json", "--quiet", "--compact")
    return ["--directory", ".", *wanted, "--skip-download", "--soft-fail"]


def _zizmor(asked: Sequence[Asked], folder: Path, files: Files | None) -> list[str] | None:
    paths = [_member(at, side, fix) for at, (_, fix) in enumerate(asked) for side in _SIDES]
    all_rules = ("--offline", "--no-config", "--persona", "auditor")
    return [*all_rules, "--format", "sarif", "--no-exit-codes", *paths]


def _semgrep(asked: Sequence[Asked], folder: Path, files: Files | None) -> list[str] | None:
    """Return a scan with the project's own rules; those of the registry are not on this disk."""
    rules = {_last(finding.rule) for finding, _ in asked}
    found = _rule_files(files, rules) if files else []
    if not found:
        return None
    for number, text in enumerate(found):
        place = folder / "rules" / f"{number}.yml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    quiet = ("--metrics=off", "--disable-version-check", "--no-git-ignore", "--quiet")
    return ["scan", "--config", str(folder / "rules"), "--json", *quiet, "."]


def _rule_files(files: Files, rules: set[str]) -> list[str]:
    """Return the texts of the project's files that define one of the rules."""
    paths = [path for path in files.paths if _RULE_FILE.search(path)][:_MAX_RULE_FILES]
    ids = "|".join(re.escape(rule) for rule in sorted(rules))
    defines = re.compile(rf"^[ \t]*-?[ \t]*id:[ \t]*[\"']?(?:{ids})\b", re.MULTILINE)
    return [text for path in paths if defines.search(text := files.read(path) or "")]


_SCANNERS = {
    "checkov": _Scanner("checkov", _checkov),
    "semgrep": _Scanner("semgrep", _semgrep),
    "zizmor": _Scanner("zizmor", _zizmor),
}


def _run(command: Sequence[str], seconds: float, folder: str) -> str | None:
    ran = run_program(command, seconds, folder, _REPORT_BYTES)
    return ran.output if ran.status == 0 else None
