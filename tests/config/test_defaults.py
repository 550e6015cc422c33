"""defaults.yaml explains every key, and what `init` writes of it loads back."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from secdaemon.config.paths import Home
from secdaemon.config.schema import Github, Repository
from secdaemon.config.settings import defaults_text, load_settings, template_text

KEY = re.compile(r"^  (?:# - |#   )?(\w+):(.*)$")


def test_every_key_has_a_comment() -> None:
    """No key, the keys of a repository included, stands there unexplained."""
    lines = [match for line in defaults_text().splitlines() if (match := KEY.match(line))]
    assert len(lines) > 60
    assert [match[1] for match in lines if not re.search(r"\s# \S", match[2])] == []


def test_the_example_of_a_repository_is_the_schema() -> None:
    """The commented item has every key of a repository, with its default."""
    body = defaults_text().partition("repositories: []")[2].partition("\n")[2].partition("\n\n")[0]
    item = yaml.safe_load(re.sub(r"(?m)^  # ", "", body))
    found = msgspec.convert(item, tuple[Repository, ...])
    assert found == (Repository(name="owner/repo"),)
    assert list(item[0]) == list(Repository.__struct_fields__)
    assert "repositories" in Github.__struct_fields__


@pytest.mark.parametrize("chosen", [True, False])
def test_the_template_is_the_defaults_with_the_homes_own_model_folders(
    tmp_path: Path, chosen: bool
) -> None:
    """`init`'s config.yaml changes nothing, and leaves the model folders to the home's rule."""
    home = Home(root=tmp_path, chosen=chosen)
    without = load_settings(home, environ={})
    home.config_file.write_text(template_text(), encoding="utf-8")
    assert load_settings(home, environ={}) == without
    assert set(yaml.safe_load(template_text())["models"]) == {"base", "base_id", "embedding"}
    for key in ("base_dir", "fine_tuned_dir"):
        assert f"\n  # {key}: ~/shared-olmo-models/" in template_text()


def test_no_secret_has_a_key() -> None:
    """Nothing in the settings asks for a token."""
    tree = yaml.safe_load(defaults_text())
    names = {key for section in tree.values() for key in section}
    assert not [n for n in names if re.search(r"token$|secret|password|api_key", n)]
