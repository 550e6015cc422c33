"""The gates that a staged folder passes before a byte of it leaves; nobody may release past them.

They look at the very bytes that would be sent, names included, and not at what these were made of.
"""

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.findings.redact import neutralise, redact
from secdaemon.pipeline.interface import Gate
from secdaemon.pipeline.training.tensors import header_text

MODEL_FILES = (
    "README.md",
    "run-manifest.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "mlx/adapter_config.json",
    "mlx/adapters.safetensors",
)
DATASET_FILES = ("README.md", "run-manifest.json", "train.jsonl", "valid.jsonl", "test.jsonl")
TEXT_ENDINGS = frozenset({".json", ".jsonl", ".md", ".txt", ".jinja", ".yaml", ".html"})
TENSOR_ENDING = ".safetensors"
TOKENIZER_FILES = frozenset(
    {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
    }
)
"""Here a chat template's tokens are at home; everywhere else they are hidden like a secret."""
LARGEST_BYTES = 50_000_000_000
"""The Hub takes no larger file."""
LARGEST_TEXT = 512 << 20

_ODD_NAME = re.compile(r"[^A-Za-z0-9._/-]")


class Text(msgspec.Struct, frozen=True):
    """A text that would be sent, and the file it stands in."""

    path: str
    text: str


def check_staged(staged: Path, folders: Sequence[str]) -> tuple[Gate, ...]:
    """Check `staged`, which holds `model/` and `dataset/`; `folders` are this computer's own.

    Nothing is followed or opened that is no regular file.
    """
    contained = _contained(staged)
    if not contained.passed:
        return (contained,)
    wanted = [*(f"model/{n}" for n in MODEL_FILES), *(f"dataset/{n}" for n in DATASET_FILES)]
    checks = [contained, _files(staged, wanted), _sizes(staged)]
    texts = tuple(_texts(staged))
    checks.extend((_secrets(texts), _local(texts, folders)))
    return tuple(checks)


def check_folder(folder: Path, folders: Sequence[str]) -> tuple[Gate, ...]:
    """Check any one folder that is to be sent, whatever files it is made of."""
    contained = _contained(folder)
    if not contained.passed:
        return (contained,)
    texts = tuple(_texts(folder))
    return contained, _sizes(folder), _secrets(texts), _local(texts, folders)


def _gate(name: str, wrong: Sequence[str], well: str) -> Gate:
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - enough to act
    detail = "; ".join(wrong[:3]) + more if wrong else well
    return Gate(name=name, passed=not wrong, quality=False, detail=detail)


def _paths(staged: Path) -> list[Path]:
    return sorted(path for path in staged.rglob("*") if not path.is_dir() or path.is_symlink())


def _contained(staged: Path) -> Gate:
    """Only regular files of known kinds with plain names: no links, no pickles, nothing hidden."""
    wrong = []
    for path in _paths(staged):
        name = path.relative_to(staged).as_posix()
        if not stat.S_ISREG(path.lstat().st_mode):
            wrong.append(f"{redact(name)} is no regular file")
        elif path.suffix not in TEXT_ENDINGS | {TENSOR_ENDING}:
            wrong.append(f"{redact(name)} is of a kind that is never published")
        elif _ODD_NAME.search(name) or any(part.startswith(".") for part in name.split("/")):
            wrong.append(f"{redact(name)} has a name that is never published")
    return _gate("contained", wrong, "regular files of known kinds only")


def _files(staged: Path, wanted: Sequence[str]) -> Gate:
    wrong = [
        f"{name} is missing or empty"
        for name in wanted
        if not (staged / name).is_file() or (staged / name).stat().st_size == 0
    ]
    return _gate("complete", wrong, f"all {len(wanted)} files are there")


def _sizes(staged: Path) -> Gate:
    sizes = {path: path.stat().st_size for path in _paths(staged)}
    wrong = [
        f"{path.relative_to(staged).as_posix()} has {size:,} bytes"
        for path, size in sizes.items()
        if size > LARGEST_BYTES
        or size == 0
        or (path.suffix in TEXT_ENDINGS and size > LARGEST_TEXT)
    ]
    return _gate("sizes", wrong, f"{len(sizes)} files, {sum(sizes.values()):,} bytes")


def _texts(staged: Path) -> Iterator[Text]:
    """Yield every text: names, whole text files, what JSON says decoded, tensors' metadata."""
    for path in _paths(staged):
        name = path.relative_to(staged).as_posix()
        yield Text(name, name)
        if path.suffix == TENSOR_ENDING:
            yield Text(name, header_text(path))
            continue
        content = path.read_bytes()
        if path.name != "tokenizer.json":  # a vocabulary in one piece looks like anything
            yield Text(name, content.decode(errors="replace"))
        if path.suffix in {".json", ".jsonl"}:
            for said in _strings(path.suffix, content):
                yield Text(name, said)


def _strings(suffix: str, content: bytes) -> Iterator[str]:
    """Yield the strings of JSON with their escapes undone; broken JSON has none beyond its text."""
    try:
        values = (
            msgspec.json.Decoder().decode_lines(content)
            if suffix == ".jsonl"
            else [msgspec.json.decode(content)]
        )
    except msgspec.DecodeError:
        return
    for value in values:
        yield from _walk(value)


def _walk(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield from _walk(key)
                yield from _walk(item)
        case list():
            for item in value:
                yield from _walk(item)


def _secrets(texts: Sequence[Text]) -> Gate:
    """No text in which the redactor would still hide something: tokens, addresses, homes."""
    return _gate(
        "secrets",
        _hits(texts, _is_telling, "holds what looks like a secret"),
        f"nothing to hide in {len(texts)} texts",
    )


def _local(texts: Sequence[Text], folders: Sequence[str]) -> Gate:
    """No folder of this computer is named."""
    own = [folder for folder in {*folders, str(Path.home())} if folder.count("/") > 1]
    return _gate(
        "local paths",
        _hits(
            texts, lambda one: any(f in one.text for f in own), "names a folder of this computer"
        ),
        "no folder of this computer is named",
    )


def _is_telling(text: Text) -> bool:
    """Whether the redactor would still hide something."""
    clean = redact(text.text)
    if clean == text.text:
        return False
    return text.path.rpartition("/")[2] not in TOKENIZER_FILES or clean != neutralise(text.text)


def _hits(texts: Sequence[Text], wrong: Callable[[Text], bool], what: str) -> list[str]:
    """Return a sentence for each file with a wrong text; the text itself is never repeated."""
    named = dict.fromkeys(redact(text.path) for text in texts if wrong(text))
    return [f"{path} {what}" for path in named]
