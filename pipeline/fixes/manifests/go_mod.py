"""Go modules: the require line of go.mod, and the Go release itself for the standard library."""

import re
from collections.abc import Callable

import msgspec

from secdaemon.pipeline.fixes.manifests.model import Upgrade, fix_of, folder_of, read, upwards
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.orderings import is_below
from secdaemon.pipeline.fixes.quote import inline

_NAME = "go.mod"
_NAMES = frozenset((_NAME, "go.sum", "go.work.sum"))
_OPENING = re.compile(r"([a-z]+)[ \t]*\([ \t]*(?://.*)?")
_DIRECTIVE = re.compile(r"[ \t]*([a-z]+)[ \t]+")
_REQUIRED = re.compile(r"([^\s()/\"][^\s()\"]*)[ \t]+(v\d[^\s()\"]*)[ \t]*(?://.*)?")
_REPLACED = re.compile(r"(\S+)(?:[ \t]+v\S+)?[ \t]+=>.*")
_GO = re.compile(r"^go[ \t]+(\d+\.\d+(?:\.\d+)?)[ \t]*(?://[^\n]*)?$", re.MULTILINE)
_TOOLCHAIN = re.compile(r"^toolchain[ \t]+go(\d+\.\d+(?:\.\d+)?)[ \t]*(?://[^\n]*)?$", re.MULTILINE)
_MAJOR = re.compile(r"(?:/|\.)v\d+$")
_TIDY = " Then run `go mod tidy`."
_STANDARD = frozenset(("stdlib", "toolchain", "go"))
_FIRST_WITH_TOOLCHAIN = "1.21.0"
_MAX_FILES = 40


_MAX_LINE = 1_000


class _Require(msgspec.Struct, frozen=True):
    """A required module's version and where it stands."""

    start: int
    end: int
    version: str


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A directive's line, of a block or by itself, without the directive's own word."""

    word: str
    start: int
    text: str
    close: int
    """Where the line ends; the block's next line may stand there."""
    in_block: bool


def is_manifest(path: str) -> bool:
    """Return whether the file is a module's go.mod or go.sum."""
    return path.rpartition("/")[2] in _NAMES


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edits that bring a Go module, or Go's own library, to a version."""
    if upgrade.path is None:
        paths = [path for path in files.paths if path.rpartition("/")[2] == _NAME]
        paths = [path for path in paths if "vendor/" not in path][:_MAX_FILES]
        found = {
            path: fixes for path in paths if (fixes := _fixes(upgrade, files, path, seen=True))
        }
        return next(iter(found.values())) if len(found) == 1 else ()
    around = (f"{up}{_NAME}" for up in upwards(folder_of(upgrade.path)))
    path = next((path for path in around if read(files, path) is not None), None)
    return _fixes(upgrade, files, path, seen=False) if path else ()


def _fixes(upgrade: Upgrade, files: Files, path: str, *, seen: bool) -> tuple[Fix, ...]:
    text = read(files, path)
    if text is None:
        return ()
    if upgrade.name in _STANDARD:
        return () if seen else _of_go(upgrade, path, text)
    if upgrade.name in _replaced(text):
        return ()
    version = _written(upgrade)
    found = _required(text, upgrade.name)
    low = [r for r in found if upgrade.is_low_in(r.version)]
    edits = [TextEdit(r.start, r.end, version) for r in low]
    how = f"Raises {inline(upgrade.name)}"
    if not found and not seen:
        edits = [_added(text, f"{upgrade.name} {version} // indirect")]
        how = f"Requires {inline(upgrade.name)}, which other modules bring in"
    fix = fix_of(path, text, edits, upgrade.because(how) + _TIDY, _weak_require(upgrade))
    return (fix,) if fix is not None else ()


def _written(upgrade: Upgrade) -> str:
    """Return the version as go.mod writes it: with its v, and +incompatible without a /v2 path."""
    bare = upgrade.version.removeprefix("v")
    major = bare.partition(".")[0]
    is_old = major.isdigit() and int(major) > 1 and not _MAJOR.search(upgrade.name)
    mark = "+incompatible" if is_old and "+" not in bare else ""
    return f"v{bare}{mark}"


def _lines(text: str) -> list[_Line]:
    """Return the lines of all directives in their order."""
    found: list[_Line] = []
    block, position = "", 0
    for row in text.split("\n"):
        start, position = position, position + len(row) + 1
        kept = row.strip() if len(row) <= _MAX_LINE else ""
        opening = _OPENING.fullmatch(kept)
        if opening or kept.startswith(")"):
            block = opening[1] if opening else ""
        directive = _DIRECTIVE.match(row) if not block else None
        begin = directive.end() if directive else len(row) - len(row.lstrip())
        found.append(
            _Line(
                word=block or (directive[1] if directive else ""),
                start=start + begin,
                text=kept and row[begin:].rstrip(),
                close=position - 1,
                in_block=bool(block),
            )
        )
    return found


def _required(text: str, module: str) -> list[_Require]:
    """Return where a module is required, in blocks and in single lines."""
    found = []
    for line in _lines(text):
        match = _REQUIRED.fullmatch(line.text) if line.word == "require" else None
        if match and match[1] == module:
            start, end = (line.start + at for at in match.span(2))
            found.append(_Require(start, end, match[2]))
    return found


def _replaced(text: str) -> frozenset[str]:
    lines = (line.text for line in _lines(text) if line.word == "replace")
    return frozenset(match[1] for line in lines if (match := _REPLACED.fullmatch(line)))


def _added(text: str, line: str) -> TextEdit:
    """Return the edit that puts a line into the last require block, else at the end."""
    block = [each for each in _lines(text) if each.word == "require" and each.in_block]
    if block:
        at = block[-1].close
        return TextEdit(at, at, f"\n\t{line}")
    gap = "" if not text or text.endswith("\n") else "\n"
    return TextEdit(len(text), len(text), f"{gap}\nrequire {line}\n")


def _weak_require(upgrade: Upgrade) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        found = _required(text, upgrade.name)
        return not found or any(upgrade.is_low(each.version) for each in found)

    return is_weak


def _of_go(upgrade: Upgrade, path: str, text: str) -> tuple[Fix, ...]:
    """Return the edits of the lines that choose Go's own release.

    The toolchain line, which Go has since 1.21, is what the module itself is built with; the go
    line is asked of everyone who uses it.
    """
    go, toolchain = _GO.search(text), _TOOLCHAIN.search(text)
    version = upgrade.version.removeprefix("v").removeprefix("go")
    if go is None or is_below(version, _FIRST_WITH_TOOLCHAIN, "golang") is not False:
        return ()
    weak = _weak_go(upgrade)
    line = f"toolchain go{version}"
    if toolchain is not None:
        edit = TextEdit(toolchain.start(1), toolchain.end(1), version)
        reason = upgrade.because("Raises the toolchain that the module is built with")
        fixes = [fix_of(path, text, (edit,), reason, weak)]
    else:
        edit = TextEdit(go.end(), go.end(), f"\n\n{line}")
        reason = upgrade.because("Names the toolchain that the module is built with")
        fixes = [fix_of(path, text, (edit,), reason, weak, "the toolchain alone")]
        edit = TextEdit(go.start(1), go.end(1), version)
        reason = upgrade.because("Raises the Go release that the module asks of all who build it")
        fixes.append(fix_of(path, text, (edit,), reason, weak, "the go line"))
    return tuple(fix for fix in fixes if fix is not None)


def _weak_go(upgrade: Upgrade) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        lines = [match[1] for each in (_GO, _TOOLCHAIN) if (match := each.search(text))]
        return not any(
            is_below(v, upgrade.version.removeprefix("v"), "golang") is False for v in lines
        )

    return is_weak
