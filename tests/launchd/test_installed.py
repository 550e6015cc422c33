"""An installed property list is read leniently and compared key by key."""

import plistlib
import sys
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.launchd.installed import (
    differences,
    installed_path_variable,
    missing_interpreter,
    other_home,
    read_installed,
)


def test_no_list_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    """An absent file is None; one that is no property list, or no dictionary, is empty."""
    path = tmp_path / "agent.plist"
    assert read_installed(path) is None
    path.write_bytes(b"<plist><dict><key>half")
    assert read_installed(path) == {}
    path.write_bytes(plistlib.dumps(["a", "list"]))
    assert read_installed(path) == {}
    path.unlink()
    path.mkdir()
    assert read_installed(path) == {}


_TAGS = ["plist", "dict", "array", "key", "string", "integer", "date", "data", "real", "true"]


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from([f"<{t}>" for t in _TAGS] + [f"</{t}>" for t in _TAGS] + ["x", "1"])
        ).map(lambda parts: b"<?xml version='1.0'?>" + "".join(parts).encode()),
        st.lists(st.sampled_from(_TAGS[1:])).map(
            lambda tags: (
                "<?xml version='1.0'?><plist>" + "".join(f"<{t}>x</{t}>" for t in tags) + "</plist>"
            ).encode()
        ),
    )
)
def test_any_bytes_can_be_read(data: bytes) -> None:
    """Whatever stands in the file, reading it raises nothing."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        assert isinstance(read_installed(Path(file.name)), dict)


def test_differences_name_the_keys() -> None:
    """Changed, missing and additional keys are all named, in order."""
    assert differences({"b": 1, "c": 2, "d": 0}, {"a": 0, "b": 1, "c": 3}) == ("a", "c", "d")
    assert differences({"b": [1]}, {"b": [1]}) == ()


def test_what_is_taken_from_an_installed_list() -> None:
    """The captured $PATH, a gone interpreter and another home are found; odd shapes give None."""
    found = {
        "EnvironmentVariables": {"PATH": "/opt/bin"},
        "ProgramArguments": ["/nowhere/.venv/bin/python", "-m"],
        "WorkingDirectory": "/Users/ada/one",
    }
    assert installed_path_variable(found) == "/opt/bin"
    assert missing_interpreter(found) == "/nowhere/.venv/bin/python"
    assert missing_interpreter({"ProgramArguments": [sys.executable]}) is None
    assert other_home(found, Path("/Users/ada/two")) == "/Users/ada/one"
    assert other_home(found, Path("/Users/ada/one")) is None
    odd = {"EnvironmentVariables": ["PATH"], "ProgramArguments": "run", "WorkingDirectory": 7}
    assert installed_path_variable(odd) is None
    assert missing_interpreter(odd) is None
    assert other_home(odd, Path("/")) is None
