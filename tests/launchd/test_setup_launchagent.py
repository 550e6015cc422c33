"""The script at the root, as real processes: with the package, without it, and beside a .venv."""

import os
import plistlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "setup_launchagent.py"


def run(
    python: Path | str, script: Path, *words: str, home: Path
) -> "subprocess.CompletedProcess[str]":
    """Run the script with a $HOME of its own and nothing of this project in the environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SECDAEMON_", "PYTHON"))}
    return subprocess.run(
        [str(python), str(script), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**kept, "HOME": str(home)},
    )


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without the package, as the system's own is."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    return folder / "bin" / "python"


def test_print_writes_the_list(tmp_path: Path) -> None:
    """The printed list starts this very interpreter on the named home, and nothing is made."""
    done = run(sys.executable, SCRIPT, "--home", str(tmp_path / "h"), "print", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    plist = plistlib.loads(done.stdout.encode())
    assert plist["ProgramArguments"] == [
        sys.executable,
        "-m",
        "secdaemon.daemon",
        "--home",
        str(tmp_path / "h"),
        "run",
    ]
    assert not any(tmp_path.iterdir())


def test_a_dry_run_of_the_default_action(tmp_path: Path) -> None:
    """Without an action it is install; dry, it names the commands and makes nothing."""
    done = run(sys.executable, SCRIPT, "--dry-run", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Would make {tmp_path}/secdaemon/config.yaml.\n" in done.stdout
    assert "Would run `/bin/launchctl bootstrap gui/" in done.stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac would install it")
def test_install_off_macos_is_one_sentence(tmp_path: Path) -> None:
    """On another system install ends with 1 and says what to run instead."""
    done = run(sys.executable, SCRIPT, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "`secdaemon run`" in done.stderr
    assert not any(tmp_path.iterdir())


def test_without_the_package_it_says_what_to_run(tmp_path: Path, bare_python: Path) -> None:
    """A bare Python gives one sentence with both commands, and no traceback."""
    script = Path(shutil.copy(SCRIPT, tmp_path))
    done = run(bare_python, script, "print", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "secdaemon is not installed for this Python: run `make venv`, then "
        "`.venv/bin/python setup_launchagent.py`\n"
    )


def test_a_bare_python_hands_over_to_the_environment_beside_it(
    tmp_path: Path, bare_python: Path
) -> None:
    """Where .venv stands beside the script, it is run again with that, with the same words."""
    script = Path(shutil.copy(SCRIPT, tmp_path))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = run(bare_python, script, "--home", "~/h", "print", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    arguments = plistlib.loads(done.stdout.encode())["ProgramArguments"]
    assert arguments[-2:] == [str(tmp_path / "h"), "run"]


def test_an_environment_without_the_package_does_not_loop(tmp_path: Path) -> None:
    """A .venv that lacks the package is named as such instead of being run again and again."""
    script = Path(shutil.copy(SCRIPT, tmp_path))
    venv.create(tmp_path / ".venv", symlinks=True, with_pip=False)
    done = run(tmp_path / ".venv" / "bin" / "python", script, home=tmp_path)
    assert done.returncode == 2
    assert "`make venv`" in done.stderr
