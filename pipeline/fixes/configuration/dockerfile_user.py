"""The user that the final stage of a Dockerfile runs as, and whether it is asked how it is."""

import re

from secdaemon.pipeline.fixes.configuration.base_images import Base, base_of
from secdaemon.pipeline.fixes.configuration.dockerfile_text import (
    Dockerfile,
    Instruction,
    commands,
    read_dockerfile,
)
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.quote import inline

ROOT_USER = "root-user"
HEALTHCHECK = "missing-healthcheck"

NUMERIC = "10001:10001"
"""Above the users of common hosts, as Checkov's CKV_K8S_40 asks for."""

_ROOT = re.compile(r"[\"']?(?:root|0)(?::\S*)?[\"']?")
_STARTS = ("ENTRYPOINT", "CMD")
_BUILDS = frozenset(("ADD", "COPY", "ONBUILD", "RUN", "SHELL", "USER", "WORKDIR"))
_NEEDS_ROOT = re.compile(
    r"\b(?:gosu|su-exec|setpriv|sudo|sshd|dockerd|containerd|crond?|supervisord|nginx|apache2?"
    r"|httpd|apachectl|artisan|haproxy|passenger|puma|rails|unicorn|openvpn|iptables|systemd|init|s6-svscan|runsvdir|mvnw?|gradlew?"
    r"|migrate|collectstatic)\b|\b(?:cargo|go|dotnet|bundle) run\b"
    r"|\b(?:npm|pip|yarn|bundle) (?:ci|install)\b|run dev\b|\.sh\b|/init\b"
)
"""Programs that are root to start with, or write where only root may."""
_WRITTEN = re.compile(r"[/ ](?:cache|data|db|logs?|media|run|sessions|storage|tmp|uploads?)\b")
_GIVEN = re.compile(r"\b(?:chown|chmod|chgrp|install)\b")
_NOT_OURS = frozenset(("ONBUILD", "VOLUME"))
"""What another build goes on with, and a directory that the user would have to own."""
_NEW_USER = re.compile(r"^(?:adduser|useradd)$")
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PORT = re.compile(r"(\d{1,5})(?:/tcp)?", re.IGNORECASE)
_PRIVILEGED_PORT = 1024
_MAX_PORT = 65_535

_CREATE = {
    "alpine": "RUN addgroup -S app && adduser -S -G app app",
    "debian": "RUN groupadd --system app && useradd --system --gid app --no-create-home app",
}
_PROBES = {
    "alpine": "nc -z 127.0.0.1 {port} || exit 1",
    "debian": '["bash", "-c", ": > /dev/tcp/127.0.0.1/{port}"]',
    "rpm": '["bash", "-c", ": > /dev/tcp/127.0.0.1/{port}"]',
}


def find_user(file: Dockerfile) -> tuple[Weakness, ...]:
    """Return whether the final stage runs as root; an image of unknown default user does."""
    said = [i for stage in file.chain for i in stage.instructions if i.keyword == "USER"]
    base = base_of(file.chain[0].image)
    if (said and not _ROOT.fullmatch(said[-1].said)) or (not said and base.is_unprivileged):
        return ()
    if base.family == "windows":
        return ()
    final = file.stages[-1]
    own = said[-1] if said and said[-1] in final.instructions else None
    line = own.line if own is not None else final.origin.line
    last = own.end_line if own is not None else final.end_line
    return (Weakness(check=ROOT_USER, where="final.user", line=line, end_line=last, weight=1.0),)


def mend_user(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the file with a user for the final stage; () where it may have to be root.

    That is a base image or a program that steps down from root by itself, a privileged port, a
    volume or a directory for data that the user would have to own, a shell script whose needs are
    not seen, an image that other builds go on with.
    """
    file = read_dockerfile(text)
    if file is None or _has_to_be_root(file):
        return ()
    base = base_of(file.chain[0].image)
    known = _known_user(file, base)
    if known:
        said = (
            f"The container's process ran as root, which an escape from it would keep on the host;"
            f" it now runs as {inline(known)}, which the image has already. Directories that it"
            " writes to have to belong to that user."
        )
        return (Repair(after=_with_lines(file, f"USER {known}"), reason=said),)
    if not _starts(file):
        return ()
    why = "The container's process ran as root, which an escape from it would keep on the host; "
    repairs = []
    create = _CREATE.get(base.family)
    if create is not None:
        reason = (
            f"{why}it now runs as a system user of its own. The files in the image stay root's: it"
            " can read them and not change them."
        )
        after = _with_lines(file, f"{create}\nUSER app")
        repairs.append(Repair(after=after, reason=reason, choice="a user of its own"))
    reason = (
        f"{why}it now runs as a number that no account has, which Kubernetes can check by"
        " `runAsNonRoot`. Directories that it writes to have to be given to that number."
    )
    after = _with_lines(file, f"USER {NUMERIC}")
    repairs.append(Repair(after=after, reason=reason, choice="a numeric user"))
    return tuple(repairs)


def find_healthcheck(file: Dockerfile) -> tuple[Weakness, ...]:
    """Return whether nothing tells how to see that the container works."""
    if any(i.keyword == "HEALTHCHECK" for stage in file.chain for i in stage.instructions):
        return ()
    final = file.stages[-1]
    return (
        Weakness(
            check=HEALTHCHECK,
            where="final.healthcheck",
            line=final.origin.line,
            end_line=final.end_line,
            weight=0.2,
        ),
    )


def mend_healthcheck(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the file with a check that the exposed port is open, by a tool that the image has."""
    file = read_dockerfile(text)
    port = _port(file) if file is not None else None
    if file is None or port is None or not _starts(file):
        return ()
    base = base_of(file.chain[0].image)
    probe = _probe(base)
    if not probe:
        return ()
    line = f"HEALTHCHECK --interval=30s --timeout=3s CMD {probe.format(port=port)}"
    reason = (
        f"The runtime now sees a process that hangs: it asks every 30 seconds whether port {port}"
        " takes connections, with what the base image brings. Where the service has a health"
        " endpoint, asking that one says more."
    )
    return (Repair(after=_with_lines(file, line), reason=reason),)


def _probe(base: Base) -> str:
    if base.name == "node":
        ask = "require('net').connect({port}, '127.0.0.1', () => process.exit(0))"
        return f'["node", "-e", "{ask}.on(\'error\', () => process.exit(1))"]'
    if base.name == "python":
        ask = "import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"
        return f'["python", "-c", "{ask}"]'
    return _PROBES.get(base.family, "")


def _port(file: Dockerfile) -> int | None:
    """Return the first TCP port that the final stage says it listens on."""
    for stage in reversed(file.chain):
        for instruction in stage.instructions:
            if instruction.keyword == "EXPOSE":
                match = _PORT.fullmatch((instruction.said.split() or [""])[0])
                number = int(match[1]) if match else 0
                return number if 0 < number <= _MAX_PORT else None
    return None


def _has_to_be_root(file: Dockerfile) -> bool:
    base = base_of(file.chain[0].image)
    if base.needs_root or base.family == "windows":
        return True
    inherited = [i for stage in file.chain for i in stage.instructions]
    if any(i.keyword in _NOT_OURS for i in inherited) or _makes_what_it_writes(inherited):
        return True
    ports = [word for i in inherited if i.keyword == "EXPOSE" for word in i.said.split()]
    numbers = [int(match[1]) for word in ports if (match := _PORT.fullmatch(word))]
    if any(number < _PRIVILEGED_PORT for number in numbers):
        return True
    return any(_NEEDS_ROOT.search(_unquoted(i)) for i in inherited if i.keyword in _STARTS)


def _makes_what_it_writes(instructions: list[Instruction]) -> bool:
    """Whether a directory for files to come is made, and none is given to anybody."""
    runs = [i.said for i in instructions if i.keyword == "RUN"]
    made = (part.partition("mkdir") for run in runs for part in re.split("[;&|]", run))
    is_made = any(found and _WRITTEN.search(rest) for _, found, rest in made)
    return is_made and not any(map(_GIVEN.search, runs))


def _unquoted(instruction: Instruction) -> str:
    """Return a command without the punctuation of its exec form."""
    return re.sub(r"[\[\]\",]+", " ", instruction.said).replace("  ", " ")


def _starts(file: Dockerfile) -> bool:
    return any(i.keyword in _STARTS for stage in file.chain for i in stage.instructions)


def _known_user(file: Dockerfile, base: Base) -> str:
    """Return the user that the file itself makes or has used, else the base image's."""
    instructions = [i for stage in file.chain for i in stage.instructions]
    used = [i.said for i in instructions if i.keyword == "USER" and not _ROOT.fullmatch(i.said)]
    if used and re.fullmatch(r"[\w.:$@{}-]{1,64}", used[-1]):
        return used[-1]
    made = [name for i in instructions if i.keyword == "RUN" for name in _made_users(i)]
    return made[-1] if made else base.user


def _made_users(run: Instruction) -> list[str]:
    """Return the users that a `RUN` makes: the command's last word, or the first of `adduser`'s."""
    found = []
    for command in commands(run):
        texts = [word.text for word in command]
        if not texts or not _NEW_USER.match(texts[0]):
            continue
        # busybox: adduser [options] USER [GROUP]; a group stands behind -G in most files.
        named = [text for text in texts[1:] if _NAME.fullmatch(text)]
        if named and named[-1] == texts[-1]:
            found.append(named[-1])
    return found


def _with_lines(file: Dockerfile, lines: str) -> str:
    """Put lines above the command of the final stage, or at the stage's end."""
    final, text = file.stages[-1], file.text
    last = max((n for n, i in enumerate(final.instructions) if i.keyword in _BUILDS), default=-1)
    following = final.instructions[last + 1 :]
    start = next((i for i in following if i.keyword in _STARTS), None)
    if start is None:
        return f"{text[: final.end]}\n{lines}{text[final.end :]}"
    at = text.rfind("\n", 0, start.start) + 1
    above = _comment_above(text, at)
    gap = "\n" if text[:above].endswith("\n\n") else ""
    return f"{text[:above]}{lines}\n{gap}{text[above:]}"


def _comment_above(text: str, at: int) -> int:
    """Return the offset of the first line of the comment right above a line."""
    while at:
        previous = text.rfind("\n", 0, at - 1) + 1
        if not text[previous:at].lstrip().startswith("#"):
            break
        at = previous
    return at
