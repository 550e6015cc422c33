"""The documents say what the code says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from secdaemon.daemon.cli import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
CODE_PATH = re.compile(
    r"`((?:config|daemon|launchd|pipeline|state|tests|docs|benchmarks|typings|\.ci)/[\w./*-]*)`"
)
PAGES = sorted([*DOCS.glob("*.md"), *([README] if README.exists() else [])])


def generators() -> ModuleType:
    """Return tests/docs_text.py, which is no package's module."""
    spec = importlib.util.spec_from_file_location("docs_text", ROOT / "tests/docs_text.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "states.md"])
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """The page in docs/ is what its generator gives; `python tests/docs_text.py` writes it anew."""
    assert (DOCS / name).read_text(encoding="utf-8") == generators().PAGES[name]()


def test_the_settings_page_has_every_key() -> None:
    """What the schema knows is documented once, items of repositories included."""
    from typing import get_type_hints

    from secdaemon.config.schema import Repository, Settings

    expected = [
        (section, key)
        for section, kind in get_type_hints(Settings).items()
        for key in kind.__struct_fields__
    ]
    keys = list(generators().settings_keys())
    assert [(key.section, key.name) for key in keys if not key.of_item] == expected
    items = [key.name for key in keys if key.of_item]
    assert items == list(Repository.__struct_fields__)


def test_the_states_page_has_every_move() -> None:
    """Each move of the table has its row, and each state its place in the diagram."""
    from secdaemon.state.machine import TRANSITIONS, State

    text = (DOCS / "states.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", text, re.MULTILINE)
    assert {tuple(map(str, move)) for move in TRANSITIONS} == set(rows)
    diagram = text.partition("```mermaid")[2].partition("```")[0]
    assert {s for s in State if s not in diagram} == {State.FAILED, State.CANCELLED}


def commands(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the commands that `secdaemon --help` lists."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    return re.findall(r"^    (\w+)\s", capsys.readouterr().out, re.MULTILINE)


def test_every_command_stands_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that the help lists is named in README.md."""
    if not README.exists():
        pytest.skip("README.md is not written yet")
    text = README.read_text(encoding="utf-8")
    names = commands(capsys)
    assert {"init", "run", "status", "submit", "demo", "agent"} <= set(names)
    assert [name for name in names if not re.search(rf"`(?:secdaemon )?{name}\b", text)] == []


def test_the_readme_names_no_command_that_is_not_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`secdaemon WORD` in README.md is a command, an option or a placeholder."""
    if not README.exists():
        pytest.skip("README.md is not written yet")
    named = set(re.findall(r"secdaemon ([a-z]+)\b", _code(README.read_text(encoding="utf-8"))))
    assert named <= set(commands(capsys))


def _code(text: str) -> str:
    """Return the code spans and code blocks of a page, a line each."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*spans, *(re.sub(r"#.*", "", block) for block in blocks)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """A relative link, and a path of the project in backticks, is there."""
    text = page.read_text(encoding="utf-8")
    lost = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    lost += [path for path in CODE_PATH.findall(text) if not list(ROOT.glob(path.rstrip("/")))]
    assert lost == []


def test_the_import_rules_on_the_page_are_the_checked_ones() -> None:
    """The line that docs/architecture.md shows is the name of import-linter's contract."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [contract["name"] for contract in project["tool"]["importlinter"]["contracts"]]
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert f"`{names[0]}`" in text


def test_the_generator_runs_as_a_script(tmp_path: Path) -> None:
    """Called with a folder it writes the pages there, as they stand in docs/."""
    script = str(ROOT / "tests/docs_text.py")
    subprocess.run([sys.executable, script, str(tmp_path)], check=True, cwd="/")
    for name in ("settings.md", "states.md"):
        assert (tmp_path / name).read_bytes() == (DOCS / name).read_bytes()
