"""What an agent misses that a shell has."""

from pathlib import Path

from secdaemon.launchd.surroundings import guarded_paths, missing_variables


def test_guarded_folders_are_found_through_links(tmp_path: Path) -> None:
    """Paths in Desktop, Documents and Downloads are named once, also behind a link."""
    inbox = tmp_path / "Downloads" / "inbox"
    inbox.mkdir(parents=True)
    link = tmp_path / "inbox"
    link.symlink_to(inbox)
    documents = tmp_path / "Documents"
    free = tmp_path / "secdaemon"
    lookalike = tmp_path / "Documents-old"
    paths = [inbox, free, link, documents, inbox, lookalike]
    assert guarded_paths(paths, tmp_path) == (inbox, link, documents)


def test_variables_that_the_agent_does_not_get() -> None:
    """Tokens and overrides of settings are named, without their values; others are not."""
    environ = {
        "HF_TOKEN": "hf_x",
        "GITHUB_TOKEN": "",
        "SECDAEMON_STAGE2__ITERATIONS": "5",
        "SECDAEMON_HOME": "/x",
        "OLMO_BASE_MODELS_DIR": "/models",
        "LANG": "C",
    }
    expected = ("HF_TOKEN", "OLMO_BASE_MODELS_DIR", "SECDAEMON_STAGE2__ITERATIONS")
    assert missing_variables(environ) == expected
