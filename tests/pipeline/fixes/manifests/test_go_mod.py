"""Go modules and Go itself."""

from typing import Any

import pytest

MODULE = """module example.org/für // a comment

go 1.21.1

require (
	github.com/gogo/protobuf v1.3.1 // why
	golang.org/x/net v0.0.0-20220101000000-abcdef123456
)

require (
	github.com/docker/docker v20.10.24+incompatible // indirect
)

require one.example/y v1.0.0
replace rep.example/z v1.0.0 => ../z
require rep.example/z v1.0.0

exclude (
	github.com/gogo/protobuf v1.3.0
)
"""


@pytest.mark.parametrize(
    ("name", "installed", "version", "old", "new"),
    [
        ("github.com/gogo/protobuf", "1.3.1", "1.3.2", "v1.3.1", "v1.3.2"),
        ("golang.org/x/net", "v0.0.0-20220101000000-abcdef123456", "0.17.0", "v0.0.0-20220101000000-abcdef123456", "v0.17.0"),
        ("github.com/docker/docker", "v20.10.24+incompatible", "24.0.7", "v20.10.24+incompatible", "v24.0.7+incompatible"),
        ("one.example/y", "1.0.0", "1.0.1", "y v1.0.0", "y v1.0.1"),
        ("new.example/z/v2", "2.0.0", "v2.0.1", "// indirect\n", "// indirect\n\tnew.example/z/v2 v2.0.1 // indirect\n"),
    ],
)  # fmt: skip
def test_requirements(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, old: str, new: str
) -> None:
    """The required version changes in its line; what others bring in gets one."""
    wanted = asked(name=name, installed=installed, version=version, ecosystem="Go", path="go.sum")
    (fix,) = mend({"go.mod": MODULE}, wanted)
    assert fix.after == MODULE.replace(old, new, 1)
    assert fix.reason.endswith("Then run `go mod tidy`.")


def test_replaced_modules_are_left_alone(mend: Any, asked: Any) -> None:
    """What is replaced is built from elsewhere: the required version decides nothing."""
    wanted = asked(
        name="rep.example/z", installed="1.0.0", version="1.0.1", ecosystem="Go", path="go.mod"
    )
    assert mend({"go.mod": MODULE}, wanted) == ()


def test_a_module_without_requirements(mend: Any, asked: Any) -> None:
    """A first requirement stands by itself at the end."""
    wanted = asked(name="a.b/c", installed="1.0.0", version="1.0.1", ecosystem="Go", path="go.mod")
    (fix,) = mend({"go.mod": "module x\n\ngo 1.21"}, wanted)
    assert fix.after == "module x\n\ngo 1.21\n\nrequire a.b/c v1.0.1 // indirect\n"


def test_gos_own_library(mend: Any, asked: Any) -> None:
    """Where no toolchain is named there are two ways; one that is named is raised."""
    wanted = asked(
        name="stdlib", installed="1.21.1", version="1.21.6", ecosystem="Go", path="go.mod"
    )
    alone, line = mend({"go.mod": MODULE}, wanted)
    assert alone.after == MODULE.replace("go 1.21.1\n", "go 1.21.1\n\ntoolchain go1.21.6\n")
    assert line.after == MODULE.replace("go 1.21.1\n", "go 1.21.6\n")
    assert alone.choice != line.choice
    named = "module x\n\ngo 1.21\n\ntoolchain go1.21.2\n"
    (fix,) = mend({"go.mod": named}, wanted)
    assert fix.after == named.replace("1.21.2", "1.21.6")


def test_go_before_toolchains(mend: Any, asked: Any) -> None:
    """Before 1.21 a module cannot name a patch release."""
    wanted = asked(
        name="stdlib", installed="1.20.1", version="1.20.6", ecosystem="Go", path="go.mod"
    )
    assert mend({"go.mod": "module x\n\ngo 1.20\n"}, wanted) == ()


def test_a_binary_in_an_image(mend: Any, asked: Any) -> None:
    """A module that the binary's project requires is raised; one that it does not, and another binary's Go, are not."""
    texts = {"go.mod": MODULE}
    for name, count in (("one.example/y", 1), ("two.example/y", 0), ("stdlib", 0)):
        wanted = asked(
            name=name,
            installed="1.0.0",
            version="1.0.1",
            ecosystem="gobinary",
            path="usr/bin/x",
            image="i",
        )
        assert len(mend(texts, wanted)) == count
