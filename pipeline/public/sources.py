"""Where Stage 1 rows come from: our own pairs, a local file, or a data set on Hugging Face."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from secdaemon.pipeline.embedded.pairs import load_pairs
from secdaemon.pipeline.interface import PermanentError, TransientError
from secdaemon.pipeline.public.code_pairs import CROSSVUL_COLUMNS, CVEFIXES_COLUMNS, missing_columns

if TYPE_CHECKING:
    from datasets import IterableDataset

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


class Cursor(msgspec.Struct, frozen=True):
    """Where reading goes on: so many parts are read, and so many rows of the next one.

    A part is what can be fetched alone: a row group of a Parquet file on the hub, a file of another
    kind there; a local file is one part.
    """

    parts: int = 0
    rows: int = 0


START = Cursor()

Rows = Iterator[tuple[Row | None, Cursor]]
"""Each row, None where it cannot be read, with the cursor behind it."""


class RowSource(msgspec.Struct, frozen=True):
    """A source whose revision is known; nothing of it is read before `rows` is iterated."""

    name: str
    """As it was asked for, but for a file its name alone: folders of this machine are private."""
    revision: str
    rows: Callable[[Cursor], Rows]
    """Yields the rows from a cursor on."""


def open_source(source: str, known_revision: str | None = None) -> RowSource:
    """Return the revision and the rows of a source.

    Args:
        source: `embedded`, `crossvul`, `cvefixes`, a data set's id on Hugging Face, or the path of
            a JSONL or Parquet file with CrossVul's or CVEfixes' columns.
        known_revision: of a data set on the hub, which is then not asked for it.

    Raises:
        TransientError: the hub or the data set cannot be reached, now or while rows are read.
        PermanentError: there is no such file, the name is none that is known, or columns lack.
    """
    if source == EMBEDDED:
        rows = [msgspec.to_builtins(pair) for pair in load_pairs()]
        revision = _digest([msgspec.json.encode(rows)])
        return RowSource(
            source, revision, lambda cursor: _counted(islice(rows, cursor.rows, None), cursor)
        )
    if path := file_of(source):
        read = _json_rows if path.suffix.lower() in _JSONL else _parquet_rows
        return RowSource(
            path.name,
            _file_revision(path),
            lambda cursor: _counted(read(path, cursor.rows), cursor),
        )
    hub_id = _hub_id(source)
    revision = known_revision or _hub_revision(source, hub_id)
    return RowSource(source, revision, lambda cursor: _hub_rows(source, hub_id, revision, cursor))


def _counted(rows: Iterator[Row | None], cursor: Cursor) -> Rows:
    for count, row in enumerate(rows, cursor.rows + 1):
        yield row, Cursor(cursor.parts, count)


def add_revision(found: dict[str, str], name: str, revision: str) -> None:
    """Note a source's revision; a second file of the same name is told apart by its content."""
    taken = name in found and found[name] != revision
    found[f"{name}@{revision[:12]}" if taken else name] = revision


def file_of(source: str) -> Path | None:
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


def _json_rows(path: Path, skipped: int) -> Iterator[Row | None]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as file:
        is_checked = skipped > 0
        for line in islice((line for line in file if line.strip()), skipped, None):
            try:
                row = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                yield None
                continue
            if not is_checked:
                _require_columns(path.name, row)
                is_checked = True
            yield row


def _parquet_rows(path: Path, skipped: int) -> Iterator[Row | None]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            found = file.schema_arrow.names
            _require_columns(path.name, found)
            used = [name for name in found if name in _USED_COLUMNS]
            for batch in file.iter_batches(batch_size=_BATCH, columns=used):
                if skipped >= batch.num_rows:
                    skipped -= batch.num_rows
                    continue
                yield from batch.slice(skipped).to_pylist()
                skipped = 0
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


def _hub_rows(source: str, hub_id: str, revision: str, cursor: Cursor) -> Rows:
    """Yield the rows of a data set at a commit, streaming, one part after another.

    A part is opened alone, so that going on in the middle fetches no earlier one; `datasets`' own
    state_dict() goes on within a file and fetches it again from its beginning.
    """
    with _reaching(source):
        stream = _stream(source, hub_id, revision)
        parts = stream.num_shards
    for part in range(cursor.parts, parts):
        count = cursor.rows if part == cursor.parts else 0
        rows = islice(iter(stream.shard(num_shards=parts, index=part)), count, None)
        with _reaching(source):
            row = next(rows, None)
        while row is not None:
            if not (part or count):
                _require_columns(source, row)
            count += 1
            # The row behind it tells whether it is the part's last: then the next part goes on.
            with _reaching(source):
                following = next(rows, None)
            yield row, Cursor(part, count) if following is not None else Cursor(part + 1)
            row = following


def _stream(source: str, hub_id: str, revision: str) -> "IterableDataset":
    """Return the stream of a data set, its columns checked; of Parquet only those in use."""
    import datasets

    # The default is twenty attempts of five seconds; the daemon has a back-off of its own.
    datasets.config.STREAMING_READ_MAX_RETRIES = 2
    datasets.config.STREAMING_READ_RETRY_INTERVAL = 1
    builder = datasets.load_dataset_builder(hub_id, revision=revision)
    stream = builder.as_streaming_dataset(split="train")
    names = stream.column_names
    if not names:
        return stream
    _require_columns(source, names)
    used = [name for name in names if name in _USED_COLUMNS]
    if builder.name != "parquet":
        return stream.select_columns(used)
    builder = datasets.load_dataset_builder(hub_id, revision=revision, columns=used)
    return builder.as_streaming_dataset(split="train").reshard()


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
