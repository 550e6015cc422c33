"""The gates over the staged bytes: what may never leave."""

from pathlib import Path

import pytest

from secdaemon.pipeline.publishing.checks import check_folder

SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fGhJkL"


def failed(folder: Path) -> dict[str, str]:
    """Return the gates that say no, with their sentences."""
    gates = check_folder(folder, ["/Users/someone/secdaemon"])
    return {gate.name: gate.detail for gate in gates if not gate.passed}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clean folder."""
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "README.md").write_text("# hello\n")
    return tmp_path / "staged"


def test_a_clean_folder_passes(folder: Path) -> None:
    """Nothing is said of it."""
    assert failed(folder) == {}


@pytest.mark.parametrize(
    ("name", "content", "gate"),
    [
        ("a.md", f"token: {SECRET}", "secrets"),
        ("a.json", '{"k": "ghp\\u005faB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fGhJkL"}', "secrets"),
        ("a.jsonl", '{"a": 1}\n{"someone@example.com": "x"}\n', "secrets"),
        ("a.html", "<p>/home/someone/project</p>", "secrets"),
        ("a.yaml", "path: /Users/someone/secdaemon/inbox", "local paths"),
        (f"{SECRET}.md", "x", "secrets"),
        ("a.md", "<|im_start|>system", "secrets"),
        ("tokenizer_config.json", '{"bos_token": "' + SECRET + '"}', "secrets"),
        ("model.pkl", "x", "contained"),
        ("pytorch_model.bin", "x", "contained"),
        (".hidden.md", "x", "contained"),
        ("a b.md", "x", "contained"),
        ("a.md", "", "sizes"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, content: str, gate: str) -> None:
    """Each kind of wrong file fails its own gate, and a secret is not repeated."""
    (folder / name).write_text(content)
    found = failed(folder)
    assert gate in found
    assert SECRET not in " ".join(found.values())


def test_a_tokenizer_may_name_its_own_tokens(folder: Path) -> None:
    """Chat tokens are at home in a tokenizer's files."""
    (folder / "tokenizer.json").write_text('{"added_tokens": ["<|im_start|>", "[INST]"]}')
    (folder / "chat_template.jinja").write_text("<|im_start|>{{ role }}")
    assert failed(folder) == {}


def test_metadata_of_tensors_is_read(folder: Path) -> None:
    """A secret in a safetensors header does not leave."""
    header = ('{"__metadata__":{"note":"' + SECRET + '"}}').encode()
    (folder / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "secrets" in failed(folder)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """A link out of the folder fails, and what it points at is not opened."""
    (tmp_path / "outside.md").write_text(SECRET)
    (folder / "inside.md").symlink_to(tmp_path / "outside.md")
    assert list(failed(folder)) == ["contained"]
