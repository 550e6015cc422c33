"""Dockerfiles: the user, the health check, what is copied and installed, and from where.

`latest` is reported and not mended: which version the file means is not in it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.configuration.dockerfile_commands import (
    APK_CACHE,
    RECOMMENDS,
    SUDO,
    UNVERIFIED,
    UPDATE_ALONE,
    YUM_CACHE,
    find_commands,
    mend_command,
)
from secdaemon.pipeline.fixes.configuration.dockerfile_text import (
    Dockerfile,
    Instruction,
    read_dockerfile,
)
from secdaemon.pipeline.fixes.configuration.dockerfile_user import (
    HEALTHCHECK,
    ROOT_USER,
    find_healthcheck,
    find_user,
    mend_healthcheck,
    mend_user,
)
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness

ADD = "add-for-copy"
LATEST = "latest-image"
MAINTAINER = "maintainer"

_COPIES = ("ADD", "COPY")
_LABELS = ("MAINTAINER", "LABEL")

_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|git@|.*\.git(?:#.*)?$", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(?:tar|tgz|tbz2?|txz|gz|bz2|xz|zst)(?:\.\w+)?", re.IGNORECASE)
_ADD_ONLY = re.compile(r"--(?:checksum|keep-git-dir|unpack)\b")
_UNCLEAR = re.compile(r"[$*?\[]")


def recognises(path: str, text: str) -> bool:
    """Whether a text has a stage and no instruction that Docker does not know."""
    return not path.lower().endswith((".md", ".sql", ".txt")) and read_dockerfile(text) is not None


@lru_cache(maxsize=8)
def weaknesses(text: str) -> tuple[Weakness, ...]:
    """Return what is insecure in a Dockerfile; of user and health check only the final stage."""
    file = read_dockerfile(text)
    if file is None:
        return ()
    return (
        *find_user(file),
        *find_healthcheck(file),
        *_adds(file),
        *_latest(file),
        *_maintainers(file),
        *find_commands(file),
    )


def _numbered(file: Dockerfile, *keywords: str) -> Iterator[tuple[str, Instruction]]:
    """Yield the instructions of some keywords with their places.

    What a mend makes of an instruction is numbered with it, so that the others keep their places.
    """
    for at, stage in enumerate(file.stages):
        found = [i for i in stage.instructions if i.keyword in keywords]
        yield from ((f"{at}.{keywords[0]}.{n}", i) for n, i in enumerate(found, 1))


def _numbered_at(text: str, where: str, *keywords: str) -> Instruction | None:
    file = read_dockerfile(text)
    found = _numbered(file, *keywords) if file is not None else iter(())
    return next((instruction for place, instruction in found if place == where), None)


def _at(check: str, where: str, instruction: Instruction, weight: float) -> Weakness:
    return Weakness(
        check=check,
        where=where,
        line=instruction.line,
        end_line=instruction.end_line,
        weight=weight,
    )


def _adds(file: Dockerfile) -> Iterator[Weakness]:
    for where, instruction in _numbered(file, *_COPIES):
        if instruction.keyword == "ADD" and _only_copies(instruction):
            yield _at(ADD, where, instruction, 0.1)


def _only_copies(add: Instruction) -> bool:
    """Whether none of the sources is remote, or an archive that ADD would unpack."""
    words = re.sub(r"[\[\]\",]+", " ", add.said).split()
    sources = [word for word in words if not word.startswith("--")][:-1]
    if not sources or add.has_heredoc or _ADD_ONLY.search(add.said):
        return False
    return not any(_REMOTE.match(s) or _ARCHIVE.fullmatch(s) or _may_unpack(s) for s in sources)


def _may_unpack(source: str) -> bool:
    """Whether a pattern or a variable could stand for an archive."""
    ending = source.rpartition("/")[2].rpartition(".")[2]
    return "$" in source or _UNCLEAR.search(ending) is not None


def _mend_add(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    instruction = _numbered_at(text, weakness.where, *_COPIES)
    if instruction is None:
        return ()
    start = text.upper().index("ADD", instruction.start)
    reason = (
        "`COPY` takes files from the build context and does nothing else; `ADD` also unpacks"
        " archives and fetches addresses, whatever comes to stand there."
    )
    return (Repair(after=f"{text[:start]}COPY{text[start + 3 :]}", reason=reason),)


def _latest(file: Dockerfile) -> Iterator[Weakness]:
    names = {stage.name for stage in file.stages if stage.name}
    for at, stage in enumerate(file.stages):
        image = stage.image
        if image.lower() in names or image == "scratch" or "@" in image or "$" in image:
            continue
        _, colon, tag = image.rpartition(":")
        if not colon or "/" in tag or tag == "latest":
            yield _at(LATEST, f"{at}.FROM", stage.origin, 0.3)


def _maintainers(file: Dockerfile) -> Iterator[Weakness]:
    for where, instruction in _numbered(file, *_LABELS):
        if instruction.keyword == "MAINTAINER":
            yield _at(MAINTAINER, where, instruction, 0.02)


def _mend_maintainer(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    instruction = _numbered_at(text, weakness.where, *_LABELS)
    if instruction is None:
        return ()
    said = instruction.said.strip("\"'")
    if not said or re.search(r"[\"\\$\n]", said):
        return ()
    label = f'LABEL maintainer="{said}"'
    reason = (
        "`MAINTAINER` is deprecated and not shown with the image's other metadata; a label says who"
        " to tell of a vulnerability, where tools look for it."
    )
    after = f"{text[: instruction.start]}{label}{text[instruction.end :]}"
    return (Repair(after=after, reason=reason),)


KIND = Kind(
    name="Dockerfile",
    language="dockerfile",
    recognises=recognises,
    weaknesses=weaknesses,
    rules={
        r"CKV_DOCKER_[38]\b|\bDS-?0002\b|\bDS002\b|DL3002|CIS-DI-0001": ROOT_USER,
        r"missing-user|last-user-is-root|Missing User|Last User Is": ROOT_USER,
        r"CKV_DOCKER_2\b|\bDS-?0026\b|\bDS026\b|CIS-DI-0006|HEALTHCHECK": HEALTHCHECK,
        r"CKV_DOCKER_4\b|\bDS-?0005\b|\bDS005\b|DL3020|Add Instead of Copy|prefer-copy": ADD,
        r"CKV_DOCKER_7\b|\bDS-?0001\b|\bDS001\b|DL300[67]|latest": LATEST,
        r"CKV_DOCKER_6\b|\bDS-?0022\b|\bDS022\b|DL4000|MAINTAINER": MAINTAINER,
        r"\bDS-?0029\b|\bDS029\b|DL3015|Additional Packages|install-recommends": RECOMMENDS,
        r"\bDS-?0025\b|\bDS025\b|DL3019|CIS-DI-0007|apk-no-cache": APK_CACHE,
        r"\bDS-?0015\b|\bDS015\b|DL3032|DL3040|yum clean|Yum Clean": YUM_CACHE,
        r"CKV2_DOCKER_(?:2|3|7|8|9|11)\b|no-check-certificate|curl-insecure": UNVERIFIED,
        r"CKV2_DOCKER_1\b|\bDS-?0010\b|\bDS010\b|DL3004|sudo": SUDO,
        r"CKV_DOCKER_5\b|\bDS-?0017\b|\bDS017\b|Update Instruction Alone": UPDATE_ALONE,
    },
    mends=guarded(
        weaknesses,
        {
            ADD: _mend_add,
            APK_CACHE: mend_command,
            HEALTHCHECK: mend_healthcheck,
            MAINTAINER: _mend_maintainer,
            RECOMMENDS: mend_command,
            ROOT_USER: mend_user,
            SUDO: mend_command,
            UNVERIFIED: mend_command,
            UPDATE_ALONE: mend_command,
            YUM_CACHE: mend_command,
        },
    ),
    of_document=frozenset((HEALTHCHECK, ROOT_USER)),
)
