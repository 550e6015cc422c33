"""What is installed is what the folders hold, and the resident part stays light."""

import ast
import glob
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from secdaemon import config as config_package
from secdaemon.config.paths import Home
from secdaemon.state.model import NewRun
from secdaemon.state.runs import take_in
from secdaemon.state.store import open_store

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOP = ("config", "daemon", "launchd", "pipeline", "state")
NOT_INSTALLED = ("pipeline/embedded/sample_service", "pipeline/embedded/sample_rules")
"""What the sample scans were made from: needed to make them again, and by nothing that runs."""

HEAVY = (
    "mlx",
    "mlx_lm",
    "transformers",
    "datasets",
    "torch",
    "numpy",
    "pandas",
    "huggingface_hub",
    "github",
    "sqlite_utils",
)


def folder_of(package: str) -> Path:
    """Return where a package's files lie."""
    return ROOT.joinpath(*package.split(".")[1:])


def data_files(folder: Path) -> set[str]:
    """Return what lies in a package's folder beside its code, packages below it left out."""
    found: set[str] = set()
    for root, folders, names in os.walk(folder):
        inside = Path(root)
        folders[:] = [
            name
            for name in folders
            if name != "__pycache__"
            and not (inside / name / "__init__.py").exists()
            and (inside / name).relative_to(ROOT).as_posix() not in NOT_INSTALLED
        ]
        found.update(
            str((inside / name).relative_to(folder)) for name in names if not name.endswith(".py")
        )
    return found


def test_every_package_is_listed() -> None:
    """The list in pyproject.toml is the folders that have an __init__.py."""
    folders = {
        path.parent.relative_to(ROOT) for top in TOP for path in (ROOT / top).rglob("__init__.py")
    }
    expected = {"secdaemon." + ".".join(folder.parts) for folder in folders}
    setuptools = PROJECT["tool"]["setuptools"]
    assert set(setuptools["packages"]) == expected
    assert setuptools["package-dir"] == {f"secdaemon.{top}": top for top in TOP}


def test_every_module_lies_in_a_package() -> None:
    """No module stands in a folder without an __init__.py, where no wheel would take it along."""
    lost = [
        str(path.relative_to(ROOT))
        for top in TOP
        for path in (ROOT / top).rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(NOT_INSTALLED)
        and not (path.parent / "__init__.py").exists()
    ]
    assert lost == []


@pytest.mark.parametrize("package", PROJECT["tool"]["setuptools"]["packages"])
def test_every_data_file_is_installed(package: str) -> None:
    """Each file that is not code matches one of its package's globs, and no glob is idle."""
    folder = folder_of(package)
    globs = PROJECT["tool"]["setuptools"]["package-data"].get(package, [])
    matched = {
        pattern: {
            name
            # as setuptools does it, which passes hidden files over
            for name in glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
            if (folder / name).is_file()
        }
        for pattern in globs
    }
    assert data_files(folder) - set().union(*matched.values()) == set()
    assert [pattern for pattern, names in matched.items() if not names] == []


def test_one_version() -> None:
    """The version stands in one place, and what is installed says the same."""
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "config.__version__"}
    assert metadata.version("secdaemon") == config_package.__version__
    done = run_python("from secdaemon.daemon.cli import main; main(['--version'])")
    assert done.strip() == config_package.__version__


def test_everything_named_is_pinned() -> None:
    """constraints.txt has one version for each requirement, and one that the requirement allows."""
    pins: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            assert re.fullmatch(r"==[^,*]+", str(pinned.specifier)), line
            assert canonicalize_name(pinned.name) not in pins, line
            pins[canonicalize_name(pinned.name)] = str(pinned.specifier).removeprefix("==")
    optional = PROJECT["project"]["optional-dependencies"].values()
    named = [*PROJECT["project"]["dependencies"], *(each for group in optional for each in group)]
    for requirement in map(Requirement, named):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), requirement


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def heavy_after(code: str) -> set[str]:
    """Return the heavy modules that code brings in."""
    last = run_python(f"{code}\nimport sys\nprint()\nprint(*sys.modules)").splitlines()[-1]
    return {name.partition(".")[0] for name in last.split()} & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "secdaemon.daemon.cli",
        "secdaemon.daemon.commands",
        "secdaemon.daemon.dashboard",
        "secdaemon.daemon.loop",
        "secdaemon.daemon.serve",
        "secdaemon.launchd.agent",
        "secdaemon.pipeline.interface",
    ],
)
def test_the_resident_part_is_light(module: str) -> None:
    """Importing what stays in memory for months brings in nothing heavy."""
    assert heavy_after(f"import {module}") == set()


@pytest.fixture
def home_with_a_run(tmp_path: Path) -> str:
    """A home whose state.db has been made and holds a run."""
    store = open_store(Home(root=tmp_path, chosen=True))
    new = NewRun(kind="inbox", name="a.zip", sha256="0", size=1, project="p", archive="/a")
    taken = take_in(store, new, 1_700_000_000.0)
    store.close()
    assert taken.run == "20231114_221320"
    return str(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "--json"],
        ["status", "20231114_221320"],
        ["status", "20231114_221320", "--json"],
        ["logs"],
        ["stage1", "list"],
        ["stage1", "prune"],
        ["pause"],
        ["cancel", "20231114_221320"],
    ],
    ids=" ".join,
)
def test_commands_that_read_are_light(words: list[str], home_with_a_run: str) -> None:
    """On a home that exists, nothing heavy is imported to look at it or to write one row."""
    arguments = ["--home", home_with_a_run, *words]
    code = f"from secdaemon.daemon.cli import main\nassert main({arguments!r}) == 0"
    assert heavy_after(code) == set()


def test_the_probe_sees_what_is_heavy() -> None:
    """The check above can fail: an import of numpy is found."""
    assert heavy_after("import numpy") == {"numpy"}


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_whatever_is_imported_is_a_declared_dependency() -> None:
    """No module works only because something else happened to install what it imports."""
    declared = {
        canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]
    }
    homes = metadata.packages_distributions()
    ours = {"secdaemon", *TOP, *sys.stdlib_module_names}
    sample = ROOT / "pipeline" / "embedded" / "sample_service"
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for top in TOP
        for path in (ROOT / top).rglob("*.py")
        if sample not in path.parents
        for name in set(imported(path)) - ours
        if not {canonicalize_name(found) for found in homes.get(name, [])} & declared
    }
    assert missing == set()
