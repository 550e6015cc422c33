"""`secdaemon logs` shows the end of a log, follows it, and lets nothing in it move the cursor."""

import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen

from secdaemon.config.paths import Home

Cli = Callable[..., CompletedProcess[str]]


def test_a_log_that_is_not_there_yet_is_no_error(cli: Cli, home: Home) -> None:
    """One sentence names the file."""
    done = cli("logs")
    assert done.returncode == 0
    assert done.stdout == f"{home.logs / 'daemon.log'}: nothing logged yet\n"


def test_the_end_of_the_log_is_shown_harmlessly(cli: Cli, home: Home) -> None:
    """The last lines only, without what a terminal would obey, whatever bytes are in it."""
    lines = [f"line {number}".encode() for number in range(500)]
    (home.logs / "daemon.log").write_bytes(b"\n".join([*lines, b"\x1b[2Jred\t\xff \xe2\x80\xae"]))
    done = cli("logs")
    assert done.returncode == 0
    shown = done.stdout.splitlines()
    assert shown[-1] == "?[2Jred    \ufffd ?"
    assert shown[0] == "line 301"


def test_a_runs_log_is_shown_by_its_id(cli: Cli, home: Home, make_zip: Callable[..., Path]) -> None:
    """A run that is not known is wrong use, also where a file of such a name could be reached."""
    (run,) = cli("submit", make_zip(home.root / "scan.zip")).stdout.split()
    (home.logs / f"{run}.log").write_text("what the worker said\n")
    assert cli("logs", run).stdout == "what the worker said\n"
    for wrong in ("absent", "../daemon", "/etc/passwd"):
        done = cli("logs", wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert wrong in done.stderr


def test_following_ends_with_ctrl_c(
    start: Callable[..., Popen[str]], home: Home, wait_until: Callable[..., None]
) -> None:
    """What is added is shown, a rotated log from its start; Ctrl-C ends it without a trace."""
    log = home.logs / "daemon.log"
    log.write_text("first\n")
    process = start("logs", "-f")
    assert process.stdout
    assert process.stdout.readline() == "first\n"
    with log.open("a") as file:
        file.write("second line\n")
    assert process.stdout.readline() == "second line\n"
    log.rename(home.logs / "daemon.log.1")
    log.write_text("new\n")
    assert process.stdout.readline() == "new\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


def test_following_waits_for_a_log_to_come(start: Callable[..., Popen[str]], home: Home) -> None:
    """`logs -f` may be started before the daemon."""
    process = start("logs", "--follow")
    (home.logs / "daemon.log").write_text("here\n")
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_run_leaves_a_log(cli: Cli, home: Home, make_zip: Callable[..., Path]) -> None:
    """Each step says in the run's own log when it began and how it ended."""
    scan = make_zip(home.root / "scan.zip")
    folder = home.root / "scans"
    folder.mkdir()
    scan.rename(folder / "scan.zip")
    assert cli("process", "--artifacts-dir", folder, "--skip-fine-tuning").returncode == 0
    (log,) = home.logs.glob("2*.log")
    lines = cli("logs", log.stem).stdout.splitlines()
    said = [line.partition(" INFO ")[2] for line in lines]
    assert said[:3] == ["unpack begins", "unpack is done", "parse begins"]
    assert said[-1] == "build_dataset ends the run, skipped: fine-tuning was not asked for"
