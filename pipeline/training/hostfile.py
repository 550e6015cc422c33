"""training.hostfile: the computers that train together, in the form that `mlx.launch` reads.

    [{"ssh": "127.0.0.1", "ips": ["10.0.0.1"]}, {"ssh": "second.local", "ips": ["10.0.0.2"]}]

or an object with `hosts` (such a list), `backend` and `envs`. The first computer is this one.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.pipeline.interface import PermanentError

HERE = "127.0.0.1"
"""What `mlx.launch` starts without ssh."""

Backend = Literal["ring", "mpi"]


class Host(msgspec.Struct, frozen=True):
    """One computer: what ssh calls it, and the addresses at which the ring reaches it."""

    ssh: str
    ips: tuple[str, ...] = ()


class Hostfile(msgspec.Struct, frozen=True):
    """The computers by rank, and how they talk."""

    hosts: tuple[Host, ...]
    backend: Backend = "ring"
    envs: tuple[str, ...] = ()
    """NAME=value, set on every computer."""

    def name(self, rank: int) -> str:
        """Return what a message calls a computer."""
        return f"{self.hosts[rank].ssh} (rank {rank})"

    def as_launched(self) -> bytes:
        """Return the file for `mlx.launch`, in which the first computer needs no ssh to itself."""
        first = msgspec.structs.replace(self.hosts[0], ssh=HERE)
        hosts = (first, *self.hosts[1:])
        return msgspec.json.encode(msgspec.structs.replace(self, hosts=hosts))


def read_hostfile(path: Path) -> Hostfile:
    """Return what a hostfile says.

    Raises:
        PermanentError: it cannot be read, or nothing can be trained on what it names.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=tuple[Host, ...] | Hostfile)
    except OSError as error:
        msg = f"training.hostfile: {path} cannot be read ({error.strerror or error})"
        raise PermanentError(msg) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = (
            f"training.hostfile: {path} is no hostfile of mlx.launch ({error}); it is a JSON list "
            'of computers, this one first: [{"ssh": "127.0.0.1", "ips": ["10.0.0.1"]}, {"ssh": '
            '"second.local", "ips": ["10.0.0.2"]}]; backends are ring and mpi'
        )
        raise PermanentError(msg) from error
    hostfile = found if isinstance(found, Hostfile) else Hostfile(found)
    problem = next(_problems(hostfile), None)
    if problem is not None:
        msg = f"training.hostfile: {path} {problem}"
        raise PermanentError(msg)
    return hostfile


def _problems(hostfile: Hostfile) -> Iterator[str]:
    if len(hostfile.hosts) < 2:  # noqa: PLR2004 - what several means
        yield "names fewer than two computers; for one, leave training.hostfile null"
    for rank, host in enumerate(hostfile.hosts):
        if not host.ssh or host.ssh.startswith("-"):
            yield f"has no name for ssh at rank {rank}"
        if hostfile.backend == "ring" and not host.ips:
            yield f"has no address for {hostfile.name(rank)}; a ring needs one under `ips`"
        for address in host.ips:
            if not _is_address(address):
                yield f"has {address!r} for {hostfile.name(rank)}, which is no IP address"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
