"""Paths of scans as repository-relative paths.

A path says where a fix belongs; what stands before the repository (a runner's work folder, a home
folder, a drive) is dropped, and nothing that is left can lead out of the repository.
"""

import posixpath
import re
from typing import Any
from urllib.parse import unquote

from secdaemon.pipeline.findings.shape import mapping, text

_MAX_PATH = 1024
_MAX_BASES = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_WEB = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DRIVE = re.compile(r"^/*[A-Za-z]:(?=/|$)")
_WORKSPACE = re.compile(
    r"^(?:"
    r"/(?:home|Users)/runner/(?:actions-runner/_)?work/[^/]+/[^/]+"
    r"|/github/workspace"
    r"|/__w/[^/]+/[^/]+"
    r"|/a/[^/]+/[^/]+"
    r"|/home/circleci/(?:project|repo)"
    r"|/home/vsts/work/\d+/s"
    r"|/bitbucket/pipelines/agent/build"
    r"|/opt/atlassian/pipelines/agent/build"
    r"|/var/(?:jenkins_home|lib/jenkins)/workspace/[^/]+"
    r"|/(?:workspace|src|rootdir|<rootdir>)"
    r")(?=/|$)"
)
_STEP = r"[A-Za-z0-9_-][A-Za-z0-9_.+-]{0,100}"
_SIMPLE = re.compile(rf"(?:{_STEP}/){{0,50}}{_STEP}")
"""Relative, nothing encoded, no step that leads anywhere but down: as it should be."""
_HOME = re.compile(r"^/(?:home|Users|Documents and Settings)/[^/]+(?=/|$)|^/root(?=/|$)")


def is_web_address(uri: str) -> bool:
    """Whether the uri names something on a network, which is no file of the repository."""
    return bool(_WEB.match(uri)) and not uri.lower().startswith("file:")


def clean_path(native: Any) -> str | None:
    """A path as a tool writes it, as a repository-relative one; None where nothing is left."""
    found = text(native)
    return _relative(found)[0] if found else None


def clean_uri(uri: Any, base_id: Any = None, bases: Any = None) -> str | None:
    """A SARIF `artifactLocation` as a repository-relative path (SARIF 2.1.0, section 3.4).

    A base that is itself relative, or that lies in a runner's work folder, belongs to the path;
    any other absolute base is where the scanner stood, which is taken as the repository's root.
    """
    if not bases and isinstance(uri, str) and len(uri) <= _MAX_PATH and _SIMPLE.fullmatch(uri):
        return uri
    found = text(uri)
    if not found or is_web_address(found):
        return None
    path, is_absolute, _ = _split(unquote(found))
    if is_absolute:
        return path
    return _join(_base_path(text(base_id), mapping(bases), _MAX_BASES), path)


def _base_path(base_id: str | None, bases: dict[str, Any], depth: int) -> str | None:
    """What a base adds to a path inside the repository; a chain of bases is followed."""
    base = mapping(bases.get(base_id)) if base_id else {}
    uri = text(base.get("uri"))
    if not uri or depth == 0 or is_web_address(uri):
        return None
    path, is_absolute, in_workspace = _split(unquote(uri))
    if is_absolute:
        return path if in_workspace else None
    return _join(_base_path(text(base.get("uriBaseId")), bases, depth - 1), path)


def _join(base: str | None, path: str | None) -> str | None:
    if not base or not path:
        return path
    return _relative(f"{base}/{path}")[0]


def _split(native: str) -> tuple[str | None, bool, bool]:
    """The relative path, whether the given one was absolute, whether in a runner's work folder."""
    return _relative(native)


def _relative(native: str) -> tuple[str | None, bool, bool]:
    path = _CONTROL.sub("_", native).replace("\\", "/")
    if path.lower().startswith("file:"):
        path = "/" + path[len("file:") :].lstrip("/")
    path = _DRIVE.sub("", path)
    is_absolute = path.startswith("/")
    inside = _WORKSPACE.sub("", path, count=1)
    in_workspace = inside != path
    path = inside if in_workspace else _HOME.sub("", path, count=1)
    steps = posixpath.normpath(path.lstrip("/")).split("/")
    while steps and steps[0] in {"..", ".", "~", ""}:
        steps.pop(0)
    return "/".join(steps)[:_MAX_PATH] or None, is_absolute, in_workspace
