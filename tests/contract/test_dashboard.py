"""`secdaemon dashboard` as a person starts and ends it."""

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.config.paths import Home

Start = Callable[..., subprocess.Popen[str]]
Done = subprocess.CompletedProcess[str]


def address_of(process: subprocess.Popen[str]) -> str:
    """Return what the process prints: its address, on one line."""
    assert process.stdout
    line = process.stdout.readline().strip()
    assert line.startswith("http://127.0.0.1:"), (line, process.poll())
    assert line.endswith("/")
    return line


def read(url: str) -> str:
    """Return a page."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_serves_until_it_is_ended(  # noqa: PLR0917 - fixtures
    start: Start,
    cli: Callable[..., Done],
    make_zip: Callable[..., Path],
    home: Home,
    number: int,
    code: int,
) -> None:
    """All runs, one run, on an address that it prints; Ctrl-C is 130, SIGTERM 0."""
    (run,) = json.loads(cli("submit", make_zip(home.root / "a.zip"), "--json").stdout)["runs"]
    process = start("dashboard", "--no-open")
    url = address_of(process)
    assert f'href="/run/{run}"' in read(url)
    assert "a.zip" in read(f"{url}run/{run}")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        read(f"{url}run/20990101_000000")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, "", "")


def test_it_shows_a_home_that_is_not_there_and_makes_none(start: Start, tmp_path: Path) -> None:
    """Looking makes no home."""
    absent = tmp_path / "absent"
    process = start("dashboard", "--no-open", at=absent)
    assert "No runs yet" in read(address_of(process))
    assert not absent.exists()


def test_only_this_computer_is_answered(start: Start) -> None:
    """Nothing listens on the other addresses of this computer, 127.0.0.2 among them."""
    port = int(address_of(start("dashboard", "--no-open")).rstrip("/").rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_a_port_that_is_taken_is_wrong_use(start: Start, cli: Callable[..., Done]) -> None:
    """Status 2, one line that names the argument."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("dashboard", "--no-open", "--port", str(port))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--port {port}" in line
    process = start("dashboard", "--no-open", "--port", str(port))
    assert address_of(process) == f"http://127.0.0.1:{port}/"
