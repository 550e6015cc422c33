"""Packages of an image's system: an instruction in the last stage of its Dockerfile."""

import re
from collections.abc import Callable

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.languages import language_of
from secdaemon.pipeline.fixes.manifests.model import Source, Upgrade, fix_of, read
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.fixes.upgrades import image_line

_BARE = re.compile(
    r"\bscratch\b|distroless|chainguard|cgr\.dev|\bstatic\b|\bminimal\b|\bmicro\b|\$"
)
_SYSTEMS = {
    "apk": re.compile(r"alpine|wolfi"),
    "deb": re.compile(r"debian|ubuntu|bookworm|bullseye|trixie|jammy|noble|focal|slim"),
    "rpm": re.compile(r"fedora|rocky|alma|\bubi|amazonlinux|centos|oraclelinux|suse"),
}
_EVERYTHING = re.compile(
    r"\b(?:apt-get|apt|dnf|yum|microdnf)\b[^&|;\n]*\b(?:dist-upgrade|full-upgrade|upgrade|update)\b"
    r"(?:\s+-[\w-]+)*\s*(?:$|[&|;\\\n])"
    r"|\bapk\b[^&|;\n]*\bupgrade\b(?:\s+-[\w-]+)*\s*(?:$|[&|;\\\n])"
)
_APT_UPDATE = re.compile(r"\b(?:apt-get|apt)\b(?:\s+-[\w-]+)*\s+update\b")
_VERSION = re.compile(r"[\w.+:~-]+")
_MAX_FILES = 40
_MAX_STAGES = 40


class _Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A build stage: where its FROM ends, what it builds on, and its own instructions."""

    end: int
    image: str
    alias: str
    runs: tuple[str, ...]
    sets_user: bool


def fixes_for(upgrade: Upgrade, files: Files, image: str) -> tuple[Fix, ...]:
    """Return the instruction that upgrades a package of the system that an image is built on.

    It stands at the start of the last stage, before anything there changes the user. Nothing where
    the project has several Dockerfiles and none is named as the image is, nor where the base image
    has no package manager or another system's.
    """
    path = _dockerfile(files, image)
    text = read(files, path) if path else None
    if path is None or text is None or not _VERSION.fullmatch(upgrade.version):
        return ()
    stages = _stages(text)
    if not stages or not _fits(stages, upgrade.kind):
        return ()
    line = image_line(upgrade.kind, upgrade.name, upgrade.version)
    edit = TextEdit(stages[-1].end, stages[-1].end, f"\n{line}")
    how = f"Upgrades {inline(upgrade.name)} in the image, until its base carries the fix"
    fix = fix_of(path, text, (edit,), upgrade.because(how), _weak(upgrade))
    return (fix,) if fix is not None else ()


def _dockerfile(files: Files, image: str) -> str | None:
    """Return the one Dockerfile of the project, or the one in the folder named as the image."""
    every = [path for path in files.paths if language_of(path) == "dockerfile"][:_MAX_FILES]
    if len(every) == 1:
        return every[0]
    name = re.split(r"[@:]", image.rpartition("/")[2])[0].lower()
    named = [path for path in every if name and name in _words(path)]
    return named[0] if len(named) == 1 else None


def _words(path: str) -> set[str]:
    """Return the name of a Dockerfile's folder and the name beside `Dockerfile` in its own."""
    folder, _, file = path.lower().rpartition("/")
    return {
        folder.rpartition("/")[2],
        file.removeprefix("dockerfile."),
        file.removesuffix(".dockerfile"),
    }


def _stages(text: str) -> list[_Stage]:
    source = Source("dockerfile", text)
    stages: list[_Stage] = []
    held: list[Node] = []
    opening: Node | None = None
    for node in (*source.root.named_children, None):
        if node is not None and node.type != "from_instruction":
            held.append(node)
            continue
        if opening is not None:
            stages.append(_stage(source, opening, held))
        opening, held = node, []
    return stages if len(stages) <= _MAX_STAGES else []


def _stage(source: Source, opening: Node, held: list[Node]) -> _Stage:
    words = [word for word in source.of(opening).split() if not word.startswith("--")]
    alias = words[3] if len(words) > 3 and words[2].upper() == "AS" else ""  # noqa: PLR2004 - FROM x AS y
    return _Stage(
        end=source.end(opening),
        image=words[1].lower() if len(words) > 1 else "",
        alias=alias.lower(),
        runs=tuple(source.of(node) for node in held if node.type == "run_instruction"),
        sets_user=any(node.type == "user_instruction" for node in held),
    )


def _fits(stages: list[_Stage], kind: str) -> bool:
    """Return whether the last stage begins as root on a system of this kind, as far as is said."""
    base = stages[-1].image
    for stage in reversed(stages[:-1]):
        if stage.alias == base:
            if stage.sets_user:
                return False
            base = stage.image
    others = (words for other, words in _SYSTEMS.items() if other != kind)
    fits = kind in _SYSTEMS and not _BARE.search(base)
    return fits and not any(words.search(base) for words in others)


def _weak(upgrade: Upgrade) -> Callable[[str], bool]:
    version, name = re.escape(upgrade.version), re.escape(upgrade.name)
    asked = re.compile(
        rf"(?<![\w.+-]){name}(?![\w.+-]).*(?<![\w.+:~-]){version}(?![\w.+:~-])", re.DOTALL
    )

    def is_weak(text: str) -> bool:
        stages = _stages(text)
        runs = stages[-1].runs if stages else ()
        return not any(asked.search(run) or _upgrades_all(run) for run in runs)

    return is_weak


def _upgrades_all(run: str) -> bool:
    """Return whether a command brings every package to its newest version."""
    return _EVERYTHING.search(_APT_UPDATE.sub("", run)) is not None
