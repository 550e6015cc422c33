"""Where Stage 1 rows come from: our own pairs, a local file, or a data set on Hugging Face."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.embedded.pairs import load_pairs
from secdaemon.pipeline.interface import PermanentError, TransientError
from secdaemon.pipeline.public.code_pairs import CROSSVUL_COLUMNS, CVEFIXES_COLUMNS, missing_columns

EMBEDDED = "embedded"
HUB_IDS = {"crossvul": "hitoshura25/crossvul", "cvefixes": "hitoshura25/cvefixes"}

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_JSONL = (".jsonl", ".ndjson")
_PARQUET = (".parquet",)
_BATCH = 64
_CONNECT_SECONDS = 6.0
_READ_SECONDS = 20.0
_USED_COLUMNS = frozenset(
    (*CROSSVUL_COLUMNS, *CVEFIXES_COLUMNS, "cwe_description", "cwe_name", "language_dir")
)

Row = Mapping[str, Any]


class RowSource(msgspec.Struct, frozen=True):
    """An opened source: `rows` can be read once; None in it is a row that could not be read."""

    name: str
    """As it was asked for, but for a file its name alone: folders of this machine are private."""
    revision: str
    rows: Iterator[Row | None]


def open_source(source: str) -> RowSource:
    """Return the revision and the rows of a source.

    Args:
        source: `embedded`, `crossvul`, `cvefixes`, a data set's id on Hugging Face, or the path of
            a JSONL or Parquet file with CrossVul's or CVEfixes' columns.

    Raises:
        TransientError: the hub or the data set cannot be reached, now or while rows are read.
        PermanentError: there is no such file, the name is none that is known, or columns lack.
    """
    if source == EMBEDDED:
        rows = [msgspec.to_builtins(pair) for pair in load_pairs()]
        return RowSource(source, _digest([msgspec.json.encode(rows)]), iter(rows))
    if path := _file_of(source):
        read = _json_rows(path) if path.suffix.lower() in _JSONL else _parquet_rows(path)
        return RowSource(path.name, _file_revision(path), _checked(path.name, read))
    hub_id = _hub_id(source)
    revision = _hub_revision(source, hub_id)
    return RowSource(source, revision, _checked(source, _hub_rows(source, hub_id, revision)))


def revisions(sources: Iterable[str]) -> dict[str, str]:
    """Return the revision of each source by its name, without reading a row.

    A file's is the hash of its content, as is that of `embedded`; a data set's is its commit.

    Raises:
        TransientError, PermanentError: as `open_source`.
    """
    found: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        if path := _file_of(source):
            add_revision(found, path.name, _file_revision(path))
        elif source == EMBEDDED:
            add_revision(found, source, open_source(source).revision)
        else:
            add_revision(found, source, _hub_revision(source, _hub_id(source)))
    return found


def add_revision(found: dict[str, str], name: str, revision: str) -> None:
    """Note a source's revision; a second file of the same name is told apart by its content."""
    taken = name in found and found[name] != revision
    found[f"{name}@{revision[:12]}" if taken else name] = revision


def _file_of(source: str) -> Path | None:
    """Return the file that a source names, None where it names something else.

    Raises:
        PermanentError: it is a file of another kind.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() in {*_JSONL, *_PARQUET}:
        return path
    if source not in {EMBEDDED, *HUB_IDS} and (path.is_absolute() or path.is_file()):
        msg = f"Stage 1 source {source}: only .jsonl and .parquet files can be read"
        raise PermanentError(msg)
    return None


def _hub_id(source: str) -> str:
    hub_id = HUB_IDS.get(source, source)
    if _HUB_ID.fullmatch(hub_id):
        return hub_id
    msg = (
        f"Stage 1 source {source!r} is not known: use embedded, crossvul, cvefixes, a Hugging "
        "Face id such as owner/name, or the path of a .jsonl or .parquet file"
    )
    raise PermanentError(msg)


def _file_revision(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _digest(iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        msg = f"Stage 1 source {path} cannot be read ({error.strerror}): correct stage1.sources"
        raise PermanentError(msg) from error


def _json_rows(path: Path) -> Iterator[Row | None]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                yield None


def _parquet_rows(path: Path) -> Iterator[Row | None]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            found = file.schema_arrow.names
            _require_columns(path.name, found)
            used = [name for name in found if name in _USED_COLUMNS]
            for batch in file.iter_batches(batch_size=_BATCH, columns=used):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        msg = f"Stage 1 source {path.name} is no readable Parquet file: write it again"
        raise PermanentError(msg) from error


def _hub_revision(source: str, hub_id: str) -> str:
    """Return a data set's present commit; it fails at once where load_dataset retries for long."""
    import httpx2
    from huggingface_hub import HfApi, set_client_factory

    limits = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    # Without it the hub's client waits for ever.
    set_client_factory(lambda: httpx2.Client(timeout=limits, follow_redirects=True))
    with _reaching(source):
        return HfApi().dataset_info(hub_id, timeout=_CONNECT_SECONDS).sha or "main"


def _hub_rows(source: str, hub_id: str, revision: str) -> Iterator[Row | None]:
    """Yield the rows of a data set at a commit, streaming."""
    import datasets

    # The default is twenty attempts of five seconds; the daemon has a back-off of its own.
    datasets.config.STREAMING_READ_MAX_RETRIES = 2
    datasets.config.STREAMING_READ_RETRY_INTERVAL = 1
    with _reaching(source):
        stream = datasets.load_dataset(hub_id, split="train", streaming=True, revision=revision)
        names = stream.column_names or []
    if names:
        _require_columns(source, names)
        stream = stream.select_columns([name for name in names if name in _USED_COLUMNS])
    rows = iter(stream)
    while True:
        with _reaching(source):
            row = next(rows, None)
        if row is None:
            return
        yield row


@contextmanager
def _reaching(source: str) -> Iterator[None]:
    """Turn whatever fails on the way to the hub, or on its side, into a `TransientError`."""
    import httpx2
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        yield
    except (OSError, ValueError, httpx2.HTTPError, DatasetsError) as error:
        found = (str(error).strip() or type(error).__name__).partition("\n")[0][:160]
        if isinstance(error, RepositoryNotFoundError):
            found = "the hub has no such data set, or it needs a token"
        msg = (
            f"Stage 1 source {source} cannot be read from Hugging Face ({found}): check the "
            "network and the name, or set stage1.sources to embedded or to a local file"
        )
        raise TransientError(msg) from error


def _checked(source: str, rows: Iterator[Row | None]) -> Iterator[Row | None]:
    """Yield the rows once the first readable one has shown its columns."""
    seen: list[Row | None] = []
    for row in rows:
        seen.append(row)
        if row is not None:
            _require_columns(source, row)
            break
    yield from chain(seen, rows)


def _require_columns(source: str, columns: Collection[str]) -> None:
    lacking = missing_columns(columns)
    if lacking:
        msg = (
            f"Stage 1 source {source} lacks the columns {', '.join(lacking)} (it has "
            f"{', '.join(sorted(columns)[:12])}): it needs those of hitoshura25/crossvul or of "
            "hitoshura25/cvefixes"
        )
        raise PermanentError(msg)


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
