"""A new home is complete, and an old one is left alone."""

from pathlib import Path

import pytest

from secdaemon.config.init import init_home
from secdaemon.config.paths import Home
from secdaemon.config.settings import ConfigError, load_settings, template_text


def test_a_new_home_gets_a_config_that_loads(tmp_path: Path) -> None:
    """The written config.yaml is the template, and its settings are the defaults."""
    home = Home(root=tmp_path / "home", chosen=True)
    before = load_settings(home, environ={})
    assert init_home(home)
    assert home.config_file.read_text(encoding="utf-8") == template_text()
    assert load_settings(home, environ={}) == before
    assert home.logs.is_dir()


def test_an_existing_config_is_never_overwritten(tmp_path: Path) -> None:
    """A second call writes nothing, whatever stands in the file."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_text("stage2: {iterations: 7}\n", encoding="utf-8")
    assert not init_home(home)
    assert home.config_file.read_text(encoding="utf-8") == "stage2: {iterations: 7}\n"


def test_a_link_to_nowhere_is_kept(tmp_path: Path) -> None:
    """A config.yaml that is a link to an absent file stays that link."""
    home = Home(root=tmp_path / "home", chosen=True)
    home.root.mkdir()
    home.config_file.symlink_to(tmp_path / "elsewhere.yaml")
    assert not init_home(home)
    assert home.config_file.is_symlink()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the home's place gives one sentence with the path and the way out."""
    (tmp_path / "home").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"home .*/home cannot be written .*--home"):
        init_home(Home(root=tmp_path / "home", chosen=True))
