"""The command line as a user runs it: exit statuses, one-line errors, one JSON document."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home
from secdaemon.daemon.lock import holder

Done = subprocess.CompletedProcess[str]
Cli = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
Make = Callable[..., Path]
Wait = Callable[..., None]
NO_MODEL = {"SECDAEMON_MODELS__BASE": "absent-model"}
NOTHING = '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "quiet"}}, "results": []}]}'


def refused(done: Done, *words: str) -> None:
    """Check for wrong use: status 2, one line on stderr with these words, nothing on stdout."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("secdaemon: ")
    for word in words:
        assert word in line


def answer(done: Done, code: int = 0) -> Any:
    """Return the one JSON document that stdout holds."""
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def runs_of(cli: Cli) -> dict[str, Any]:
    """Return the runs of the home by the names of their artifacts."""
    return {run["source"]["name"]: run for run in answer(cli("status", "--json"))["runs"]}


def test_looking_at_a_home_that_is_not_there_makes_none(cli: Cli, tmp_path: Path) -> None:
    """Status of nothing is well, in both forms."""
    absent = tmp_path / "absent"
    found = answer(cli("status", "--json", at=absent))
    assert found["home"] == str(absent)
    assert found["runs"] == []
    assert not found["daemon"]["running"]
    done = cli("status", at=absent)
    assert done.returncode == 0
    assert "no runs yet" in done.stdout
    assert not absent.exists()


def test_the_home_comes_from_option_or_environment(
    cli: Cli, environ: dict[str, str], tmp_path: Path
) -> None:
    """--home wins over $SECDAEMON_HOME, which wins over ~/secdaemon."""
    command = [sys.executable, "-m", "secdaemon.daemon", "status", "--json"]

    def asked(**more: str) -> str:
        done = subprocess.run(command, env=environ | more, capture_output=True, check=True)
        home: str = json.loads(done.stdout)["home"]
        return home

    assert asked() == str(Path(environ["HOME"]) / "secdaemon")
    assert asked(SECDAEMON_HOME=str(tmp_path / "env")) == str(tmp_path / "env")
    found = cli("status", "--json", at=tmp_path / "opt", env={"SECDAEMON_HOME": "/nowhere"})
    assert answer(found)["home"] == str(tmp_path / "opt")


def test_init_makes_a_home_once(cli: Cli, tmp_path: Path) -> None:
    """A second time keeps what stands there."""
    new = tmp_path / "new"
    assert cli("init", at=new).returncode == 0
    (new / "config.yaml").write_text("# mine\n")
    again = cli("init", at=new)
    assert (again.returncode, (new / "config.yaml").read_text()) == (0, "# mine\n")
    assert (new / "inbox").is_dir()


def test_help_and_version_are_well(cli: Cli) -> None:
    """They print and end 0."""
    assert "COMMAND" in cli("--help").stdout
    assert cli("--version").stdout.strip()
    assert cli("submit", "--help").returncode == 0


def test_a_reader_that_goes_away_is_no_error(
    home: Home, environ: dict[str, str], cli: Cli, make_zip: Make
) -> None:
    """`secdaemon status | head` ends without a complaint."""
    cli("submit", make_zip(home.root / "scan.zip"))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "secdaemon.daemon", "--home", str(home.root), "status"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environ, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_submit_prints_run_ids_and_knows_bytes_again(
    cli: Cli, home: Home, make_zip: Make, make_sarif: Callable[..., str]
) -> None:
    """Zips and folders become runs; the same bytes are the same run; the originals stay."""
    one = make_zip(home.root / "one.zip", name="one")
    folder = home.root / "scans"
    folder.mkdir()
    (folder / "a.sarif").write_text(make_sarif("folder", 2))
    first = cli("submit", one, folder)
    assert first.returncode == 0
    ids = first.stdout.split()
    assert len(set(ids)) == 2
    assert answer(cli("submit", one, folder, "--json")) == {"runs": ids}
    assert one.exists()
    assert (folder / "a.sarif").exists()
    runs = runs_of(cli)
    assert runs["one.zip"]["source"]["kind"] == "manual"
    assert runs["scans"]["state"] == "received"
    full = answer(cli("status", ids[0], "--json"))
    assert "dropped again" in full["events"][-1]["detail"]


def test_submit_refuses_what_it_cannot_read_through(cli: Cli, home: Home) -> None:
    """A pipe is neither a file nor a folder; a file that changes meanwhile is not complete."""
    os.mkfifo(home.root / "pipe.zip")
    refused(cli("submit", home.root / "pipe.zip"), "pipe.zip", "neither a file nor a folder")
    path = home.root / "growing.zip"
    path.write_bytes(b"")
    os.truncate(path, 256 << 20)
    over = threading.Event()

    def touch() -> None:
        stamp = 0
        while not over.wait(0.001):
            stamp += 1
            os.utime(path, ns=(stamp, stamp))

    toucher = threading.Thread(target=touch)
    toucher.start()
    done = cli("submit", path)
    over.set()
    toucher.join()
    refused(done, "growing.zip", "changed while it was read")


def hostile(make_zip: Make, folder: Path) -> dict[str, str]:
    """Write unusable artifacts; return a word of each one's reason."""
    make_zip(folder / "empty.zip", {})
    make_zip(folder / "no scan.zip", {"notes.txt": "nothing here"})
    make_zip(folder / "outside.zip", {"../evil.sarif": NOTHING})
    make_zip(folder / "collision.zip", {"a.sarif": NOTHING, "A.SARIF": NOTHING})
    link = make_zip(folder / "link.zip", {"a.sarif": "/etc/passwd"})
    data = link.read_bytes()
    at = data.index(b"PK\x01\x02")
    link.write_bytes(data[: at + 38] + (0o120777 << 16).to_bytes(4, "little") + data[at + 42 :])
    secret = make_zip(folder / "encrypted.zip", {"a.sarif": NOTHING})
    data = bytearray(secret.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    secret.write_bytes(data)
    (folder / "text.zip").write_text("this is no zip at all")
    return {
        "empty.zip": "no files",
        "no scan.zip": "no scan that can be read",
        "outside.zip": "leads outside",
        "collision.zip": "collide",
        "link.zip": "link",
        "encrypted.zip": "encrypted",
        "text.zip": "not a zip",
    }


def test_unusable_artifacts_are_refused_with_their_reason(
    cli: Cli, home: Home, make_zip: Make
) -> None:
    """Each lies in rejected/ with a sentence beside it, and the daemon goes on with the others."""
    reasons = hostile(make_zip, home.root / "inbox")
    make_zip(home.root / "inbox" / "quiet.zip", {"a.sarif": NOTHING})
    done = cli("run", "--until-idle", "--no-poll")
    assert done.returncode == 0, done.stderr
    runs = runs_of(cli)
    assert runs.pop("quiet.zip")["state"] == "skipped"
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(reasons, "rejected")
    for name, word in reasons.items():
        assert word in runs[name]["reason"]
        assert runs[name]["run_dir"] is None
        assert (home.rejected / name).exists()
        assert (home.rejected / f"{name}.reason.txt").read_text() == runs[name]["reason"] + "\n"
    assert len(list(home.rejected.iterdir())) == 2 * len(reasons)
    assert list((home.root / "inbox").iterdir()) == []
    assert len(list(home.archive.iterdir())) == 1


def test_until_idle_tells_a_failed_run(cli: Cli, home: Home, make_zip: Make) -> None:
    """A run of this call that failed makes the status 1, an older one does not; retry counts again."""
    make_zip(home.root / "inbox" / "scan.zip")
    assert cli("run", "--until-idle", "--no-poll", env=NO_MODEL).returncode == 1
    run = runs_of(cli)["scan.zip"]
    assert run["state"] == "failed"
    assert "absent-model is not there" in run["reason"]
    assert "secdaemon doctor" in run["reason"]
    assert cli("run", "--until-idle", "--no-poll", env=NO_MODEL).returncode == 0
    refused(cli("cancel", run["id"]), "failed")
    refused(cli("release", run["id"]), "failed")
    retried = cli("retry", run["id"])
    assert (retried.returncode, retried.stdout) == (0, f"{run['id']} dataset_built\n")
    refused(cli("retry", run["id"]), "dataset_built")
    work = Path(run["run_dir"]) / "work"
    assert work.exists()
    assert cli("cancel", run["id"]).returncode == 0
    assert not work.exists()
    ended = runs_of(cli)["scan.zip"]
    assert (ended["state"], ended["step"]) == ("cancelled", None)
    assert "person" in ended["reason"]


def test_until_idle_of_an_empty_home_ends_at_once(cli: Cli, tmp_path: Path) -> None:
    """Nothing to do is well, also in a home that is made by it."""
    assert cli("run", "--until-idle", at=tmp_path / "new").returncode == 0
    assert (tmp_path / "new" / "inbox").is_dir()


def test_what_cannot_be_done_to_a_run_is_said(cli: Cli, home: Home, make_zip: Make) -> None:
    """Retry, cancel and release each name the state that is in their way."""
    (run,) = cli("submit", make_zip(home.root / "scan.zip")).stdout.split()
    refused(cli("retry", run), run, "received")
    refused(cli("release", run), run, "received")
    assert cli("cancel", run).stdout == f"{run} cancelled\n"
    refused(cli("cancel", run), run, "cancelled")
    refused(cli("retry", run), run, "cancelled")
    refused(cli("report", run), run, "no folder")


def test_a_pause_holds_until_it_is_lifted(cli: Cli, home: Home, make_zip: Make) -> None:
    """While paused, artifacts are taken in and nothing is done with them."""
    assert cli("pause").stdout == "paused\n"
    make_zip(home.root / "inbox" / "quiet.zip", {"a.sarif": NOTHING})
    assert cli("run", "--until-idle", "--no-poll").returncode == 0
    assert runs_of(cli)["quiet.zip"]["state"] == "received"
    assert answer(cli("status", "--json"))["daemon"]["paused"]
    assert "paused" in cli("status").stdout
    (home.root / "d").mkdir()
    refused(cli("process", "--artifacts-dir", home.root / "d"), "paused", "secdaemon resume")
    assert cli("resume").stdout == "resumed\n"
    assert cli("run", "--until-idle", "--no-poll").returncode == 0
    assert runs_of(cli)["quiet.zip"]["state"] == "skipped"


def test_a_daemon_takes_files_in_and_ends_when_told(
    cli: Cli, start: Start, home: Home, make_zip: Make, wait_until: Wait
) -> None:
    """It is seen in `status`, keeps a second one out with 3, and SIGTERM ends it with 0."""
    daemon = start("run", "--no-poll")
    wait_until(lambda: answer(cli("status", "--json"))["daemon"]["running"])
    shown = answer(cli("status", "--json"))["daemon"]
    assert shown["pid"] == daemon.pid
    assert shown["started_at"].endswith("Z")
    for command in (["run"], ["run", "--until-idle"], ["process", "--artifacts-dir", home.root]):
        taken = cli(*command)
        assert (taken.returncode, taken.stdout) == (3, "")
        (line,) = taken.stderr.splitlines()
        assert str(daemon.pid) in line
    make_zip(home.root / "inbox" / "quiet.zip", {"a.sarif": NOTHING})
    (given,) = cli(
        "submit", make_zip(home.root / "scan.zip", {"b.sarif": NOTHING + " "})
    ).stdout.split()
    wait_until(lambda: [run["state"] for run in runs_of(cli).values()] == ["skipped"] * 2)
    assert runs_of(cli)["scan.zip"]["id"] == given
    daemon.send_signal(signal.SIGTERM)
    daemon.communicate(timeout=20)
    assert daemon.returncode == 0
    assert not answer(cli("status", "--json"))["daemon"]["running"]
    log = (home.logs / "daemon.log").read_text()
    assert "started" in log
    assert "stopped" in log


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_daemon_that_has_only_begun_ends_as_well(
    start: Start, home: Home, wait_until: Wait, number: int, code: int
) -> None:
    """From the moment it holds the home, a signal is a request and no death."""
    daemon = start("run", "--no-poll")
    wait_until(lambda: holder(home))
    daemon.send_signal(number)
    _, err = daemon.communicate(timeout=20)
    assert daemon.returncode == code
    assert "Traceback" not in err


def test_launchd_is_not_made_to_start_it_for_ever(cli: Cli, home: Home) -> None:
    """Under launchd a wrong setting ends 0, and `status` says why nothing runs."""
    home.config_file.write_text("stage1: {iteration: 1}")
    done = cli("run", env={"SECDAEMON_LAUNCHD": "1"})
    assert (done.returncode, done.stdout) == (0, "")
    assert "stage1.iteration" in done.stderr
    shown = answer(cli("status", "--json"))
    (problem,) = shown["daemon"]["problems"]
    assert "did not start" in problem
    assert "stage1.iteration" in problem
    assert "stage1.iteration" in cli("status").stdout
    home.config_file.write_text("")
    assert cli("run", "--until-idle").returncode == 0
    problems = answer(cli("status", "--json"))["daemon"]["problems"]
    assert not any("did not start" in problem for problem in problems)


def test_process_builds_the_data_and_stops_where_asked(
    cli: Cli, tmp_path: Path, make_zip: Make, make_sarif: Callable[..., str]
) -> None:
    """Zips and files of the folder are read, copies are written, stdout has the run alone."""
    make_zip(tmp_path / "in" / "tool.zip", name="zipped")
    (tmp_path / "in" / "plain.sarif").write_text(make_sarif("plain", 6))
    args = ("process", "--artifacts-dir", "in", "--output-dir", "out", "--skip-fine-tuning")
    run = answer(cli(*args, "--json"))
    assert run["state"] == "skipped"
    assert run["reason"] == "fine-tuning was not asked for"
    assert run["findings"]["in"] == 12
    assert {file["path"] for file in run["files"]} == {"plain.sarif", "tool.zip/scan.sarif"}
    out = tmp_path / "out"
    names = {"findings.jsonl", "train.jsonl", "valid.jsonl", "test.jsonl", "run.json"}
    assert {path.name for path in out.iterdir()} == names
    findings = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    assert len(findings) == run["findings"]["kept"]
    wanted = {
        *("id", "tool", "rule", "severity", "message", "path"),
        *("line", "cwes", "aliases", "package", "sources"),
    }
    assert all(wanted <= set(finding) for finding in findings)
    rows = {
        name: (out / f"{name}.jsonl").read_text().count("\n") for name in ("train", "valid", "test")
    }
    assert rows == {
        "train": run["examples"]["train"],
        "valid": run["examples"]["validation"],
        "test": run["examples"]["test"],
    }
    assert json.loads((out / "run.json").read_text()) == run
    again = cli(*args)
    assert again.returncode == 0
    assert "skipped" in again.stdout
    assert (tmp_path / "in" / "plain.sarif").exists()


def test_process_says_that_it_did_not_work(cli: Cli, tmp_path: Path) -> None:
    """A folder with nothing to read in it ends 1, with the reason."""
    (tmp_path / "in").mkdir()
    run = answer(cli("process", "--artifacts-dir", "in", "--json"), 1)
    assert (run["state"], run["reason"]) == ("rejected", "the zip holds no files")
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    done = cli("process", "--artifacts-dir", "in")
    assert done.returncode == 1
    assert "no scan that can be read" in done.stdout


def test_status_shows_the_newest_and_one_run(cli: Cli, home: Home, make_zip: Make) -> None:
    """--limit cuts, RUN shows one, and both forms name the same."""
    paths = [make_zip(home.root / f"{n}.zip", name=f"n{n}") for n in range(3)]
    ids = cli("submit", *paths).stdout.split()
    assert [run["id"] for run in answer(cli("status", "--json"))["runs"]] == ids[::-1]
    limited = answer(cli("status", "--json", "--limit", "1"))["runs"]
    assert [run["id"] for run in limited] == ids[2:]
    one = cli("status", ids[0])
    assert one.returncode == 0
    assert ids[0] in one.stdout
    assert "0.zip" in one.stdout
    assert answer(cli("status", ids[0], "--json"))["source"]["name"] == "0.zip"


def test_watching_ends_with_ctrl_c(start: Start) -> None:
    """`status --watch` shows the table until it is interrupted."""
    process = start("status", "--watch")
    assert process.stdout
    assert "daemon" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
