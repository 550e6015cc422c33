"""Where the token is from, what is said when it does not work, and that nobody gets to see it."""

import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from github_server import Artifact, Fault, Run

from secdaemon.config.programs import Ran, find_program, run_program
from secdaemon.daemon.github.tokens import AGAIN_SECONDS, Token, Tokens, find_tokens, is_safe

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"
API = "https://api.github.com"


class Programs:
    """Records what was run; answers for keyring and gh."""

    def __init__(self, keychain: str | None = None, gh: str | None = None) -> None:
        self.keychain, self.gh = keychain, gh
        self.ran: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str], _seconds: float) -> Ran:
        """Answer for one program."""
        self.ran.append(tuple(command))
        text = self.keychain if "keyring" in command else self.gh
        return Ran(1, error="no") if text is None else Ran(0, output=f"{text}\n")


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """Return a folder with an executable called gh."""
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text("#!/bin/sh\nexit 0\n")
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    return gh.parent


def test_the_environment_comes_first_then_the_keychain_then_gh(bin_folder: Path) -> None:
    """Each by its name, `gh` by absolute path and for the host of github.api_url."""
    programs = Programs("k" * 40, "g" * 40)
    environ = {"GITHUB_TOKEN": "e" * 40, "PATH": str(bin_folder)}
    found = list(find_tokens(API, environ, programs))
    assert [(token.source, token.text[0]) for token in found] == [
        ("$GITHUB_TOKEN", "e"),
        ("the Keychain", "k"),
        ("`gh auth token`", "g"),
    ]
    assert programs.ran == [
        (sys.executable, "-m", "keyring", "get", "secdaemon", "github"),
        (str(bin_folder / "gh"), "auth", "token", "--hostname", "github.com"),
    ]


def test_what_is_not_needed_is_not_asked() -> None:
    """No process is started where the environment has a token."""
    programs = Programs()
    tokens = Tokens(API, {"GITHUB_TOKEN": "e" * 40}, programs)
    assert tokens.current() == Token("$GITHUB_TOKEN", "e" * 40)
    assert tokens.trouble() is None
    assert programs.ran == []


@pytest.mark.parametrize("text", ["", "  ", "two words", "line\nbreak", "caf\u00e9", "x" * 5000])
def test_what_is_no_token_is_none(text: str) -> None:
    """http.client would say the whole of it in an error about headers."""
    assert list(find_tokens(API, {"GITHUB_TOKEN": text, "PATH": ""}, Programs())) == []


def test_a_token_travels_encrypted_or_not_at_all() -> None:
    """Plain http is for this computer alone."""
    assert is_safe("https://ghe.example/api/v3")
    assert is_safe("http://127.0.0.1:99")
    assert not is_safe("http://ghe.example/api/v3")
    tokens = Tokens("http://ghe.example/api/v3", {"GITHUB_TOKEN": "e" * 40}, Programs())
    assert tokens.current() is None
    assert "is not https" in (tokens.trouble() or "")


def test_a_refused_token_gives_way_to_the_next(bin_folder: Path) -> None:
    """And is said once, with what to do; after a while all are looked up anew."""
    clock = [1000.0]
    environ = {"GITHUB_TOKEN": "e" * 40, "PATH": str(bin_folder)}
    tokens = Tokens(API, environ, Programs(gh="g" * 40), lambda: clock[0])
    first = tokens.current()
    assert first
    second = tokens.refused(first)
    assert second == tokens.refused(first) == tokens.current()
    assert tokens.trouble() == (
        "GitHub refuses the token from $GITHUB_TOKEN: expired or revoked; `gh auth token` is used"
    )
    assert second
    assert tokens.refused(second) is None
    assert "personal-access-tokens/new" in (tokens.trouble() or "")
    assert tokens.current() is None
    clock[0] += AGAIN_SECONDS
    assert tokens.current() == first


def test_a_tokens_text_is_in_no_representation() -> None:
    """Whatever prints it by accident prints where it is from."""
    assert (
        "secret" not in f"{Token('a', 'secret')} {Token('a', 'secret')!r} {[Token('a', 'secret')]}"
    )


def test_programs_are_found_outside_of_launchds_path(bin_folder: Path) -> None:
    """By absolute path, on PATH or where Homebrew puts them."""
    assert find_program("gh", {"PATH": str(bin_folder)}) == str(bin_folder / "gh")
    assert find_program("sh", {}) in {"/bin/sh", "/usr/bin/sh"}
    assert find_program("no-such-program", {"PATH": str(bin_folder)}) is None


def test_a_program_that_hangs_is_ended_with_its_children() -> None:
    """It is told apart from one that says no."""
    assert run_program(("/bin/sh", "-c", "sleep 60 & sleep 60"), 0.3).status is None
    assert run_program(("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), 9) == Ran(
        3, "out\n", "err\n"
    )
    assert run_program(("/no/such/program",), 9).status is None


def test_without_a_token_the_list_is_read_and_the_rest_is_said(scene: Scene, scan: Scan) -> None:
    """Polling goes on for what works; `status` has one sentence with what to click."""
    from contextlib import closing

    from secdaemon.state.daemon_row import problems
    from secdaemon.state.store import open_store

    scene.environ = {"PATH": ""}
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]), Run(2, event="release"))
    found = scene.poll()
    assert [item.workflow_run_id for item in found.ignored] == [2]
    assert "given only to who is logged in" in found.problem
    with closing(open_store(scene.home)) as store:
        (said,) = problems(store)
    assert said == found.problem
    assert "no GitHub token" in said
    assert "Actions, Read-only" in said


def test_an_expired_token_leaves_public_lists_readable(scene: Scene, scan: Scan) -> None:
    """GitHub answers 401 to anything that comes with it, even where nothing is needed."""
    scene.environ = {"GITHUB_TOKEN": "ghp_" + "b" * 36, "PATH": ""}
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    found = scene.poll()
    assert "refuses the token from $GITHUB_TOKEN: expired or revoked" in found.problem
    statuses = [seen.status for seen in scene.github.requests()]
    assert statuses[:2] == [401, 200]


def test_a_missing_permission_says_what_to_click(scene: Scene, scan: Scan) -> None:
    """As fine-grained tokens without Actions: read get it."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    refusal = '{"message": "Resource not accessible by personal access token"}'
    scene.github.fault = lambda _host, _path: Fault(403, body=refusal)
    found = scene.poll()
    assert "Repository permissions, Actions, to Read-only" in found.problem
    assert found.next_try_at


@pytest.mark.slow
def test_a_planted_token_is_nowhere(
    scene: Scene, scan: Scan, cli: Callable[..., Any], start: Callable[..., Any], wait_until: Any
) -> None:
    """Home, log, terminal, process list: through a good poll and through every kind of refusal."""
    github = scene.github
    github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    env = {"GITHUB_TOKEN": github.token, "PYTHONFAULTHANDLER": "1"}
    said = []
    kinds = [
        None,
        Fault(401, body=f'{{"message": "Bad credentials {github.token}"}}'),
        Fault(403, body=f'{{"message": "Forbidden for {github.token}"}}'),
        Fault(how="close"),
        Fault(200, body="<html>"),
        Fault(302, {"Location": "http://127.0.0.9/?sig=SAS-SECRET-1"}),
    ]
    for number, fault in enumerate(kinds):
        github.add(NAME, Run(number + 2, second=number + 2, artifacts=[scan(number + 2)]))
        github.fault = lambda _host, _path, fault=fault: fault
        done = cli("poll", "--json", env=env)
        said += [done.stdout, done.stderr]
        github.fault = lambda host, _path, fault=fault: fault if host == "blob" else None
        done = cli("poll", env=env)
        said += [done.stdout, done.stderr]
    github.fault = lambda host, _path: Fault(how="hang") if host == "blob" else None
    daemon = start("run", env=env)
    wait_until(lambda: any(seen.host == "blob" for seen in github.seen) or daemon.poll())
    said += _command_lines()
    for command in (("status",), ("status", "--json"), ("doctor",), ("agent", "print")):
        done = cli(*command, env=env)
        said += [done.stdout, done.stderr]
    daemon.terminate()
    out, err = daemon.communicate(timeout=60)
    said += [out, err]
    for secret in (github.token, "SAS-SECRET"):
        for text in said:
            assert secret not in text
        for path in scene.home.root.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path


def _command_lines() -> list[str]:
    """Return the command lines of all processes, as `ps` shows them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found
