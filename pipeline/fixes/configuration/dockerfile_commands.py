"""What the commands of a Dockerfile do that they should not: each one found word by word."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from secdaemon.pipeline.fixes.configuration.dockerfile_text import (
    Dockerfile,
    Instruction,
    Stage,
    Word,
    commands,
    read_dockerfile,
)
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.model import TextEdit, edited
from secdaemon.pipeline.fixes.quote import inline

RECOMMENDS = "apt-recommends"
APK_CACHE = "apk-cache"
YUM_CACHE = "yum-cache"
UNVERIFIED = "unverified-download"
SUDO = "sudo"
UPDATE_ALONE = "update-alone"

_MAX_CALLS = 1_000
_APT = frozenset(("apt-get", "apt"))
_YUM = frozenset(("yum", "dnf", "microdnf"))
_VERBS = frozenset(("add", "clean", "install", "update", "upgrade"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_SHORT = re.compile(r"-[fgijLNOqRsSv#]*k[fgijkLNOqRsSv#]*")
"""curl's one-letter options without a value, `k` among them."""
_UNSAFE = {
    "apk": frozenset(("--allow-untrusted",)),
    "apt": frozenset(("--allow-unauthenticated", "--force-yes")),
    "apt-get": frozenset(("--allow-unauthenticated", "--force-yes")),
    "curl": frozenset(("--insecure",)),
    "dnf": frozenset(("--nogpgcheck",)),
    "wget": frozenset(("--no-check-certificate",)),
    "yum": frozenset(("--nogpgcheck",)),
}


class Call(msgspec.Struct, frozen=True):
    """A command of a `RUN`: the program, and its words from there on."""

    stage: Stage
    run: Instruction
    name: str
    words: tuple[Word, ...]
    place: str
    """Which of the stage's commands of this program and verb it is: edits elsewhere keep it."""
    is_sudo: Word | None = None

    def says(self, *texts: str) -> bool:
        """Whether one of these is a word of it."""
        return any(word.text in texts for word in self.words)

    @property
    def verb(self) -> Word | None:
        """The first word that is no option."""
        return next((word for word in self.words[1:] if not word.text.startswith("-")), None)


Mended = tuple[tuple[TextEdit, ...], str]
"""Edits, and why; no edits where there is no safe way."""


class Check(msgspec.Struct, frozen=True):
    """A check of one command, and how the command is mended."""

    name: str
    weight: float
    is_weak: Callable[[Dockerfile, Call], bool]
    mend: Callable[[Dockerfile, Call], Mended]


def calls(file: Dockerfile) -> Iterator[Call]:
    """Yield the first commands of all `RUN`s, without variables set before them and `sudo`."""
    return islice(_calls(file), _MAX_CALLS)


def _calls(file: Dockerfile) -> Iterator[Call]:
    for stage in file.stages:
        seen: dict[str, int] = {}
        for run in stage.instructions:
            for words in commands(run) if run.keyword == "RUN" else ():
                call = _call(stage, run, words, seen)
                if call is not None:
                    yield call


def _call(
    stage: Stage, run: Instruction, words: tuple[Word, ...], seen: dict[str, int]
) -> Call | None:
    rest = list(words)
    while rest and _ASSIGNMENT.fullmatch(rest[0].text):
        rest.pop(0)
    sudo = rest.pop(0) if rest and rest[0].text == "sudo" else None
    while rest and _ASSIGNMENT.fullmatch(rest[0].text):
        rest.pop(0)
    if not rest:
        return None
    name = rest[0].text.rpartition("/")[2]
    action = next((word.text for word in rest[1:] if word.text in _VERBS), "")
    key = f"{name}.{action}"
    seen[key] = seen.get(key, 0) + 1
    return Call(stage, run, name, tuple(rest), f"{key}.{seen[key]}", sudo)


def find_commands(file: Dockerfile) -> Iterator[Weakness]:
    """Yield what the checks of this module find, in the order of the commands."""
    for call in calls(file):
        for check in CHECKS:
            if check.is_weak(file, call):
                yield Weakness(
                    check=check.name,
                    where=_where(file, call),
                    line=_line(file, call, call.words[0]),
                    end_line=_line(file, call, call.words[-1]),
                    weight=check.weight,
                )


def mend_command(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the file with the command of a weakness mended."""
    file = read_dockerfile(text)
    check = next((check for check in CHECKS if check.name == weakness.check), None)
    if file is None or check is None:
        return ()
    call = next((c for c in calls(file) if _where(file, c) == weakness.where), None)
    if call is None or not check.is_weak(file, call):
        return ()
    edits, reason = check.mend(file, call)
    after = edited(text, edits) if edits else None
    return () if after is None else (Repair(after=after, reason=reason),)


def _where(file: Dockerfile, call: Call) -> str:
    return f"{file.stages.index(call.stage)}.{call.place}"


def _line(file: Dockerfile, call: Call, word: Word) -> int:
    return call.run.line + file.text.count("\n", call.run.start, word.start)


def _behind(word: Word, text: str) -> TextEdit:
    return TextEdit(word.end, word.end, text)


def _without(file: Dockerfile, word: Word) -> TextEdit:
    """Take a word away with the space behind it, or before it where it ends its line."""
    end = word.end
    while end < len(file.text) and file.text[end] in " \t":
        end += 1
    start = word.start
    if end >= len(file.text) or file.text[end] in "\n\\;&|":
        end = word.end
        while start and file.text[start - 1] in " \t":
            start -= 1
    return TextEdit(start, end, "")


def _installs(call: Call, programs: frozenset[str], verbs: tuple[str, ...] = ("install",)) -> bool:
    return call.name in programs and any(word.text in verbs for word in call.words[1:])


def _is_recommended(file: Dockerfile, call: Call) -> bool:
    if not _installs(call, _APT) or call.says("--no-install-recommends"):
        return False
    # As in /etc/apt/apt.conf.d, or by -o.
    return "APT::Install-Recommends" not in file.text


def _mend_recommends(file: Dockerfile, call: Call) -> Mended:
    at = next(n for n, word in enumerate(call.words) if word.text == "install")
    yes = call.words[at + 1 : at + 2]
    verb = yes[0] if yes and yes[0].text in {"-y", "-qy", "-yq", "--yes"} else call.words[at]
    reason = (
        "Only the packages that are named and those that they depend on are installed; recommended"
        " ones are more code in the image to attack and to keep patched."
    )
    return (_behind(verb, " --no-install-recommends"),), reason


def _is_cached(file: Dockerfile, call: Call) -> bool:
    is_mounted = "type=cache" in call.run.said
    return _installs(call, frozenset(("apk",)), ("add",)) and not (
        call.says("--no-cache") or is_mounted
    )


def _mend_apk(file: Dockerfile, call: Call) -> Mended:
    verb = next(word for word in call.words if word.text == "add")
    reason = (
        "`--no-cache` asks for the current package index and leaves none in the image, so that a"
        " later layer cannot install from an outdated one."
    )
    return (_behind(verb, " --no-cache"),), reason


def _leaves_cache(file: Dockerfile, call: Call) -> bool:
    said = call.run.said
    # Where there is dnf, yum is another name of it.
    is_clean = any(f"{name} clean all" in said for name in _YUM)
    is_clean = is_clean or "/var/cache/" in said or "type=cache" in said
    return _installs(call, _YUM) and not is_clean


def _mend_yum(file: Dockerfile, call: Call) -> Mended:
    run = call.run
    last_line = run.args.rpartition("\n")[2]
    if run.has_heredoc or "#" in last_line or not run.args.strip():
        return (), ""
    end = run.args_start + len(run.args.rstrip())
    reason = (
        "The package manager's cache is removed in the layer that made it, so that no outdated"
        " package data stays in the image."
    )
    return (TextEdit(end, end, f" && {call.name} clean all"),), reason


def _unsafe_words(call: Call) -> tuple[Word, ...]:
    flags = _UNSAFE.get(call.name, frozenset())
    is_curl = call.name == "curl"
    return tuple(
        word
        for word in call.words[1:]
        if word.text in flags or (is_curl and _SHORT.fullmatch(word.text))
    )


def _is_unverified(file: Dockerfile, call: Call) -> bool:
    return bool(_unsafe_words(call))


def _mend_unverified(file: Dockerfile, call: Call) -> Mended:
    edits = []
    for word in _unsafe_words(call):
        is_cluster = not word.text.startswith("--") and len(word.text) > 2  # noqa: PLR2004 - "-k"
        shorter = word.text.replace("k", "")
        edits.append(
            TextEdit(word.start, word.end, shorter) if is_cluster else _without(file, word)
        )
    reason = (
        f"{inline(call.name)} checks again who it downloads from, so that somebody in between"
        " cannot put their own code into the image. For a server with a private authority, add that"
        " authority's certificate."
    )
    return tuple(edits), reason


def _has_sudo(file: Dockerfile, call: Call) -> bool:
    return call.is_sudo is not None


def _mend_sudo(file: Dockerfile, call: Call) -> Mended:
    chain = file.chain_of(call.stage)
    before = [i for stage in chain for i in stage.instructions if i.start < call.run.start]
    users = [i.said for i in before if i.keyword == "USER"]
    # As root, which the build is until it says otherwise, sudo does nothing but hide that.
    if call.is_sudo is None or (users and users[-1] not in {"root", "0"}):
        return (), ""
    if call.words[0].text.startswith("-"):
        return (), ""
    reason = (
        "The build is root here already; without `sudo` the command does the same, and the image"
        " needs no program that gives root to a user."
    )
    return (_without(file, call.is_sudo),), reason


def _is_alone(file: Dockerfile, call: Call) -> bool:
    if call.name not in {*_APT, "apk"} or call.verb is None or call.verb.text != "update":
        return False
    return len(commands(call.run)) == 1 and "type=cache" not in call.run.said


def _mend_alone(file: Dockerfile, call: Call) -> Mended:
    """Join the update with the installation that comes next."""
    instructions = call.stage.instructions
    at = instructions.index(call.run) + 1
    following = instructions[at] if at < len(instructions) else None
    if following is None or following.keyword != "RUN":
        return (), ""
    first = next((c for c in calls(file) if c.run is following), None)
    between = file.text[call.run.end : following.start]
    if (
        first is None
        or between.strip()
        or not _installs(first, frozenset((call.name,)), ("install", "add"))
    ):
        return (), ""
    if first.run.has_heredoc or first.run.args.lstrip().startswith("--"):
        return (), ""
    reason = (
        "The package index is read in the layer that installs from it; one from a cached layer can"
        " be months old, and gives packages without later security fixes."
    )
    end = call.run.args_start + len(call.run.args.rstrip())
    return (TextEdit(end, following.args_start, " && "),), reason


CHECKS = (
    Check(RECOMMENDS, 0.1, _is_recommended, _mend_recommends),
    Check(APK_CACHE, 0.1, _is_cached, _mend_apk),
    Check(YUM_CACHE, 0.05, _leaves_cache, _mend_yum),
    Check(UNVERIFIED, 0.8, _is_unverified, _mend_unverified),
    Check(SUDO, 0.3, _has_sudo, _mend_sudo),
    Check(UPDATE_ALONE, 0.2, _is_alone, _mend_alone),
)
