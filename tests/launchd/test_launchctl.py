"""Commands are run to their end, and what `launchctl print` says is read leniently."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.launchd.launchctl import AgentError, Printed, parse_print, run_command

RUNNING = """gui/501/com.secdaemon.agent = {
\tactive count = 1
\tpath = /Users/ada/Library/LaunchAgents/com.secdaemon.agent.plist
\ttype = LaunchAgent
\tstate = running

\tprogram = /Users/ada/secdaemon/.venv/bin/python
\tenvironment = {
\t\tPATH => /usr/bin:/bin
\t\tstate = forged
\t\tpid = 1
\t}

\truns = 2
\tpid = 4242
\tlast exit code = 78: EX_CONFIG

\tresource coalition = {
\t\tstate = active
\t}
}
"""


def test_a_running_job() -> None:
    """The job's own fields are read, and those of its nested parts are not."""
    expected = Printed(state="running", pid=4242, exit_code=78, signal=None)
    assert parse_print(RUNNING) == expected


def test_nested_fields_before_the_job_s_own_are_passed_over() -> None:
    """A nested `state` does not win by standing first."""
    text = (
        "x = {\n\tcoalition = {\n\t\tstate = active\n\t\tpid = 7\n\t}\n\tstate = not running\n}\n"
    )
    assert parse_print(text) == Printed(state="not running", pid=None, exit_code=None, signal=None)


def test_a_job_that_never_ended() -> None:
    """`(never exited)` is no exit code."""
    printed = parse_print(
        "x = {\n\tstate = running\n\tpid = 5\n\tlast exit code = (never exited)\n}"
    )
    assert printed == Printed(state="running", pid=5, exit_code=None, signal=None)


def test_a_job_that_was_killed() -> None:
    """A signal stands in a field of its own, and the exit code is missing then."""
    text = "x = {\n\tstate = spawn scheduled\n\tlast terminating signal = Killed: 9\n}\n"
    expected = Printed(state="spawn scheduled", pid=None, exit_code=None, signal="Killed: 9")
    assert parse_print(text) == expected


@given(st.text())
def test_any_output_can_be_read(text: str) -> None:
    """Whatever a later macOS prints, reading it raises nothing."""
    assert isinstance(parse_print(text), Printed)


@given(pid=st.integers(1, 99998), code=st.integers(-64, 255))
def test_numbers_are_read_back(pid: int, code: int) -> None:
    """A printed process id and exit code are the ones that are returned."""
    printed = parse_print(f"x = {{\n\tpid = {pid}\n\tlast exit code = {code}\n}}\n")
    assert (printed.pid, printed.exit_code) == (pid, code)


def test_a_command_s_end_is_returned_as_it_is() -> None:
    """A failing command is an answer, not an error."""
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(113)"
    done = run_command([sys.executable, "-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (113, "out\n", "err\n")


def test_a_command_that_is_not_there() -> None:
    """A missing program gives a sentence that names the command."""
    with pytest.raises(AgentError, match=r"`/nowhere/launchctl print x` could not be started"):
        run_command(["/nowhere/launchctl", "print", "x"])


def test_a_command_that_does_not_end() -> None:
    """A hanging program is killed and gives a sentence that says what to do."""
    with pytest.raises(AgentError, match=r"did not end within 0 s: log out and in"):
        run_command([sys.executable, "-c", "import signal; signal.pause()"], seconds=0.1)
