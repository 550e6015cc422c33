"""Whether a run-manifest.json is whole: every field there, of its type, and true to the others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.account.manifest_model import DatasetStats, Manifest
from secdaemon.pipeline.account.portable import absolute_path


def check(path: Path) -> list[str]:
    """Return what is missing from a manifest file or wrong in it, a phrase each; [] when whole."""
    try:
        value = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        return [f"{path.name}: cannot be read ({error.strerror or error})"]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [f"{path.name}: no JSON ({error})"]
    if not isinstance(value, dict):
        return [f"{path.name}: no JSON object"]
    wrong = [*_field_problems(value, Manifest, ""), *_path_problems(value, "")]
    if wrong:
        return wrong
    return list(_disagreements(msgspec.convert(value, Manifest)))


def check_files(path: Path) -> list[str]:
    """Return which of the places that a run directory's manifest names are not there.

    A published folder holds the manifest without these.
    """
    wrong = check(path)
    if wrong:
        return wrong
    found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    places = {"final_model_path": found.final_model_path}
    for name, stage in (("stage1", found.stage1), ("stage2", found.stage2)):
        for field in ("adapters_path", "training_data_path", "evaluation_results_path"):
            places[f"{name}.{field}"] = getattr(stage, field)
    return [
        f"{field}: {place} is not there"
        for field, place in places.items()
        if not (path.parent / place).is_dir()
    ]


def _field_problems(value: dict[str, Any], kind: type[msgspec.Struct], where: str) -> Iterator[str]:
    """Yield every missing field, and every one of a wrong type or value."""
    for field in msgspec.structs.fields(kind):
        name = f"{where}{field.encode_name}"
        if field.encode_name not in value:
            if field.required:
                yield f"{name}: is missing"
            continue
        part = value[field.encode_name]
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            if isinstance(part, dict):
                yield from _field_problems(part, field.type, f"{name}.")
            else:
                yield f"{name}: is no object"
            continue
        try:
            msgspec.convert(part, field.type)
        except msgspec.ValidationError as error:
            text, _, place = str(error).partition(" - at `$")
            yield f"{name}{place.rstrip('`')}: {text[:1].lower()}{text[1:]}"


def _path_problems(value: Any, where: str) -> Iterator[str]:
    """Yield every text that names a path from the root of a file system."""
    match value:
        case str():
            if absolute_path(value):
                yield f"{where}: names an absolute path"
        case dict():
            for key, item in value.items():
                yield from _path_problems(item, f"{where}.{key}".lstrip("."))
        case list():
            for place, item in enumerate(value):
                yield from _path_problems(item, f"{where}[{place}]")
        case _:
            return


def _disagreements(found: Manifest) -> Iterator[str]:
    """Yield what contradicts itself."""
    counts = found.findings
    if counts.entered != counts.kept + counts.duplicate + counts.suppressed + counts.rejected:
        yield "findings: in is not the sum of kept, duplicate, suppressed and rejected"
    if sum(found.findings_by_tool.values()) != counts.kept:
        yield "findings_by_tool: does not sum to findings.kept"
    for name, stage in (("stage1", found.stage1), ("stage2", found.stage2)):
        if not _adds_up(stage.dataset_stats):
            yield f"{name}.dataset_stats: total_train_examples is not train and replay together"
    if found.retention is None:
        yield "retention: is not known yet"
    if found.metrics.stage1_test.stage2 is None:
        yield "metrics.stage1_test.stage2: is not known yet"


def _adds_up(stats: DatasetStats) -> bool:
    return stats.total_train_examples == stats.splits.train + stats.stage1_replay_examples
