"""training.hostfile: what is read, and what is refused with which sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.hostfile import Host, Hostfile, read_hostfile

HOSTS: list[dict[str, Any]] = [
    {"ssh": "this.local", "ips": ["10.0.0.1"]},
    {"ssh": "other.local", "ips": ["10.0.0.2", "fd00::2"], "rdma": [None, "rdma_en2"]},
]
RAW_RING = [["127.0.0.1:5100"], ["127.0.0.1:5101"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test's hostfile lies."""
    return tmp_path / "hosts.json"


def test_both_forms_are_read(path: Path) -> None:
    """A list of computers, and an object with backend and variables, as mlx.launch reads them."""
    path.write_text(json.dumps(HOSTS))
    assert read_hostfile(path) == Hostfile(
        (Host("this.local", ("10.0.0.1",)), Host("other.local", ("10.0.0.2", "fd00::2")))
    )
    path.write_text(json.dumps({"hosts": HOSTS, "backend": "mpi", "envs": ["A=b"]}))
    assert (read_hostfile(path).backend, read_hostfile(path).envs) == ("mpi", ("A=b",))


def test_mpi_needs_no_addresses(path: Path) -> None:
    """Only a ring is made of addresses."""
    path.write_text(json.dumps({"hosts": [{"ssh": "a"}, {"ssh": "b"}], "backend": "mpi"}))
    assert len(read_hostfile(path).hosts) == 2


def test_the_first_computer_is_started_without_ssh(path: Path) -> None:
    """Whatever the file calls it, the first computer is this one; the others keep their names."""
    path.write_text(json.dumps(HOSTS))
    launched = json.loads(read_hostfile(path).as_launched())
    assert [host["ssh"] for host in launched["hosts"]] == ["127.0.0.1", "other.local"]
    path.write_text(json.dumps(launched))
    assert read_hostfile(path).as_launched() == path.read_bytes().replace(b" ", b"")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is no hostfile of mlx.launch"),
        (json.dumps(RAW_RING), "is no hostfile of mlx.launch"),
        (json.dumps({"hosts": HOSTS, "backend": "nccl"}), "backends are ring and mpi"),
        (json.dumps(HOSTS[:1]), "fewer than two"),
        ("[]", "fewer than two"),
        (json.dumps([HOSTS[0], {"ssh": "b"}]), r"no address for b \(rank 1\)"),
        (json.dumps([HOSTS[0], {"ssh": "b", "ips": ["b.local"]}]), "no IP address"),
        (json.dumps([HOSTS[0], {"ssh": "-oProxyCommand=x", "ips": ["::1"]}]), "no name for ssh"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(path: Path, content: str, says: str) -> None:
    """The sentence names the key, the file, and what is wrong with it."""
    path.write_text(content)
    with pytest.raises(PermanentError, match=says) as caught:
        read_hostfile(path)
    assert str(caught.value).startswith(f"training.hostfile: {path}")


def test_a_missing_file_is_named(path: Path) -> None:
    """So is one that is not there."""
    with pytest.raises(PermanentError, match="cannot be read"):
        read_hostfile(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text() | st.just("127.0.0.1"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["ssh", "ips", "hosts", "backend"]), inner)
        ),
    ).map(lambda tree: json.dumps(tree).encode())
)
def test_any_file_is_read_or_refused(path: Path, content: bytes) -> None:
    """No content of a hostfile leads to any other error."""
    path.write_bytes(content)
    try:
        found = read_hostfile(path)
    except PermanentError:
        return
    assert len(found.hosts) >= 2
