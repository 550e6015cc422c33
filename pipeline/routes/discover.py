"""The routes of one commit of a checkout, found once.

Files are read with git at the commit, never from the working tree; nothing of the project runs.
Links are not followed: git gives them as what they are, and they are passed over.
"""

import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path

from secdaemon.pipeline.routes import express, fastapi, flask, ktor, spring
from secdaemon.pipeline.routes.git_files import Listed, list_files, read_files
from secdaemon.pipeline.routes.model import Route, Routes
from secdaemon.pipeline.routes.syntax import Sources, TooMuchError

MAX_FILES = 20_000
MAX_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 512 * 1024
SECONDS = 60.0
"""For all of it; frameworks whose turn comes later are left out."""

_ENDINGS = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".java", ".kt", ".kts")
_CONFIGURATION = re.compile(
    r"(?:^|/)(?:application(?:-\w+)?\.(?:properties|ya?ml|conf)|bootstrap\.ya?ml)$"
)
_LEFT_OUT = re.compile(
    r"(?:^|/)(?:node_modules|vendor|third_party|dist|build|target|\.\w[^/]*|__tests__|__mocks__"
    r"|tests?|testing|spec|e2e|cypress|site-packages|venv|\w*[tT]est)/"
    r"|(?:^|/)(?:test_[^/]*|conftest)\.py$|_test\.py$|[.-](?:spec|test)\.\w+$|\.d\.ts$|\.min\.js$"
    r"|(?:Test|Tests|IT|Spec)\.(?:java|kt)$"
)
_BASE = re.compile(
    r"^[\s\w.\-]*?\b(?:context-path|contextPath|base-path|rootPath)\b[\"']?\s*[:=]\s*"
    r"[\"']?(/[^\s\"'#]*)",
    re.MULTILINE,
)
_BASE_IN_CODE = re.compile(r"\b(?:root_path|rootPath)\s*=\s*[\"'](/[^\"'$]*)[\"']")


def routes_at(folder: Path, commit: str) -> Routes:
    """Return the routes of a commit (a hash that the repository has); those of one are kept.

    Nothing where there is no repository. Of a large tree the first files by path are read, up to
    MAX_FILES and MAX_BYTES.
    """
    return _routes_at(str(folder), commit)


@lru_cache(maxsize=8)
def _routes_at(folder: str, commit: str) -> Routes:
    wanted: list[Listed] = []
    size = 0
    for listed in list_files(folder, commit):
        known = listed.path.endswith(_ENDINGS) or _CONFIGURATION.search(listed.path)
        if not known or listed.size > MAX_FILE_BYTES or _LEFT_OUT.search(listed.path):
            continue
        size += listed.size
        if size > MAX_BYTES or len(wanted) >= MAX_FILES:
            break
        wanted.append(listed)
    return routes_of(read_files(folder, wanted))


def routes_of(texts: dict[str, str], seconds: float = SECONDS) -> Routes:
    """Return the routes of files: path -> text."""
    configuration = {p: t for p, t in texts.items() if _CONFIGURATION.search(p)}
    code = {p: t for p, t in texts.items() if p not in configuration}
    properties = dict(_properties(configuration.values()))
    until = time.monotonic() + seconds
    found: list[Route] = []
    readers: tuple[Callable[[Sources], list[Route]], ...] = (
        ktor.routes,
        partial(spring.routes, properties=properties),
        express.routes,
        fastapi.routes,
        flask.routes,
    )
    for reader in readers:
        if time.monotonic() < until:
            found += _tried(reader, Sources(code, until))
    return Routes(tuple(found), _bases(configuration.values(), code.values()))


def _tried(reader: Callable[[Sources], list[Route]], sources: Sources) -> list[Route]:
    try:
        return reader(sources)
    except (TooMuchError, RecursionError):
        return []


def _bases(configuration: Iterable[str], code: Iterable[str]) -> tuple[str, ...]:
    """Return the base paths that are configured, the longest first."""
    found = {base for text in configuration for base in _BASE.findall(text)}
    found |= {base for text in code for base in _BASE_IN_CODE.findall(text)}
    return tuple(sorted(found - {"/"}, key=lambda base: (-len(base), base)))


def _properties(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Properties as they are written, and YAML's nested keys joined."""
    for text in texts:
        above: list[tuple[int, str]] = []
        for line in text.splitlines():
            found = re.match(r"(\s*)([\w.\-]+)\s*[:=]\s*(.*?)\s*$", line)
            if found is None:
                continue
            while above and above[-1][0] >= len(found[1]):
                above.pop()
            name = ".".join([*(key for _, key in above), found[2]])
            if found[3]:
                yield name, found[3].strip("\"'")
            else:
                above.append((len(found[1]), found[2]))
