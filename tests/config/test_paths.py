"""The home: which one it is, what lies in it, and that nothing lies outside a chosen one."""

import re
from pathlib import Path

import pytest

from secdaemon.config.paths import Home, find_home
from secdaemon.config.settings import load_settings

SHARED = Path("~/shared-olmo-models").expanduser()


def test_the_option_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """--home, else $SECDAEMON_HOME, else ~/secdaemon; only the last one is not chosen."""
    monkeypatch.setenv("SECDAEMON_HOME", "/from/variable")
    assert find_home("/from/option") == Home(root=Path("/from/option"), chosen=True)
    assert find_home(None) == Home(root=Path("/from/variable"), chosen=True)
    monkeypatch.setenv("SECDAEMON_HOME", "")
    assert find_home(None) == Home(root=Path.home() / "secdaemon", chosen=False)
    monkeypatch.delenv("SECDAEMON_HOME")
    assert find_home(None) == Home(root=Path.home() / "secdaemon", chosen=False)


def test_a_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative home starts from the working folder, `~` is expanded, nobody's is refused."""
    monkeypatch.chdir(tmp_path)
    assert find_home("here").root == tmp_path / "here"
    assert find_home("~/there").root == Path.home() / "there"
    with pytest.raises(OSError, match="nobody of this name") as caught:
        find_home("~nobody-of-this-name")
    assert caught.value.filename == "~nobody-of-this-name"


def test_the_layout_is_the_contracts(tmp_path: Path) -> None:
    """Every place of the contract's section Home, by its name."""
    home = Home(root=tmp_path, chosen=True)
    settings = load_settings(home, environ={})
    places: dict[str, str | Path] = {
        "config.yaml": home.config_file,
        "inbox": settings.inbox.dir,
        "rejected": home.rejected,
        "archive": home.archive,
        "state.db": home.database,
        "stage1": home.stage1,
        "logs": home.logs,
        "published": settings.publish.folder,
    }
    assert {name: Path(place) for name, place in places.items()} == {
        name: tmp_path / name for name in places
    }


def test_a_chosen_home_keeps_its_models_inside(tmp_path: Path) -> None:
    """With a home that a person named, no folder of the settings lies outside it."""
    settings = load_settings(Home(root=tmp_path, chosen=True), environ={})
    assert settings.models.base_dir == str(tmp_path / "models/base")
    assert settings.models.fine_tuned_dir == str(tmp_path / "models/fine-tuned")


def test_the_default_home_shares_its_models(tmp_path: Path) -> None:
    """With the default home the models lie in the shared folders."""
    settings = load_settings(Home(root=tmp_path, chosen=False), environ={})
    assert settings.models.base_dir == str(SHARED / "base")
    assert settings.models.fine_tuned_dir == str(SHARED / "fine-tuned")


def test_a_hostfile_lies_in_the_home(tmp_path: Path) -> None:
    """A relative training.hostfile starts from the home; none stays none."""
    home = Home(root=tmp_path, chosen=True)
    environ = {"SECDAEMON_TRAINING__HOSTFILE": "hosts.json"}
    assert load_settings(home, environ=environ).training.hostfile == str(tmp_path / "hosts.json")
    assert load_settings(home, environ={}).training.hostfile is None


@pytest.mark.parametrize("chosen", [True, False])
def test_what_is_set_is_taken(tmp_path: Path, chosen: bool) -> None:
    """A set folder holds in any home: relative to it, absolute, or from the person's own."""
    home = Home(root=tmp_path, chosen=chosen)
    home.config_file.write_text(
        "models: {base_dir: bases, fine_tuned_dir: ~/tuned}\ninbox: {dir: /drop/here}\n",
        encoding="utf-8",
    )
    settings = load_settings(home, environ={})
    assert settings.models.base_dir == str(tmp_path / "bases")
    assert settings.models.fine_tuned_dir == str(Path.home() / "tuned")
    assert settings.inbox.dir == "/drop/here"
    settings = load_settings(home, environ={"OLMO_BASE_MODELS_DIR": "/bases"})
    assert settings.models.base_dir == "/bases"


def test_a_variable_alone_moves_one_folder_of_a_chosen_home(tmp_path: Path) -> None:
    """$OLMO_BASE_MODELS_DIR counts as set; the other folder stays in the home."""
    home = Home(root=tmp_path, chosen=True)
    settings = load_settings(home, environ={"OLMO_BASE_MODELS_DIR": "/bases"})
    assert settings.models.base_dir == "/bases"
    assert settings.models.fine_tuned_dir == str(tmp_path / "models/fine-tuned")


def test_make_is_repeatable_and_nothing_else_touches_the_disk(tmp_path: Path) -> None:
    """Asking for places makes none; `make` makes the fixed ones, twice as well as once."""
    home = Home(root=tmp_path / "home", chosen=True)
    load_settings(home, environ={})
    assert not home.root.exists()
    home.make()
    home.make()
    made = sorted(path.name for path in home.root.iterdir())
    assert made == ["archive", "locks", "logs", "rejected", "stage1"]
    assert all(re.fullmatch(r"[a-z0-9]+", name) for name in made)
