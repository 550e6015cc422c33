"""Stage 1: general training on public fixes, made once and shared by every run that wants it.

A result lies under its fingerprint: the base model, the data's revisions, the settings that
matter, and the version of the code that makes examples. It is trained in a folder of the same
name with `.training` behind it, whichever run wants it, so that a killed training is gone on with.
"""

import hashlib
import shutil
from pathlib import Path

import msgspec

from secdaemon.config.files import copy_tree, staged_folder, sync_folder, sync_tree, write_file
from secdaemon.pipeline.examples import read_splits
from secdaemon.pipeline.interface import (
    ExampleCounts,
    Job,
    Progress,
    Report,
    Stage1Output,
    TransientError,
)
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.public.cache_folder import CACHE_FOLDER
from secdaemon.pipeline.public.data import TRANSFORM_VERSION, prepare, revisions
from secdaemon.pipeline.stage1_record import (
    RECORD_FILE,
    Record,
    age_days,
    is_set_aside,
    is_whole,
    old_folder,
    read_record,
    training_folder,
)
from secdaemon.pipeline.training.base_model import base_folder, file_hash, weights_hash
from secdaemon.pipeline.training.train import TrainSpec, train

LEFT_OUT_FILE = "left-out.json"


def run(job: Job, report: Report) -> Stage1Output:
    """Return a Stage 1 result that is young enough, training it where there is none.

    Its files are in the run's own folder afterwards.
    """
    base = base_folder(job.settings.models)
    request = _request(job, base)
    record = _recent(job, request) or _make(job, request, base, report)
    with staged_folder(RunFolder(Path(job.run_dir)).stage1.root) as staged:
        shutil.rmtree(staged)
        copy_tree(Path(record.output.folder), staged)
    return msgspec.structs.replace(record.output, reused=record.run != job.run_id)


def _request(job: Job, base: Path) -> str:
    """Return the hash of everything that decides a result but the data's revisions.

    On how many computers it was trained is no part of it: what was asked for is the same.
    """
    training = job.settings.training
    wanted = (
        weights_hash(base),
        job.settings.stage1.sources,
        job.settings.stage1.iterations,
        job.settings.stage1.learning_rate,
        job.settings.stage1.max_examples,
        job.settings.lora,
        msgspec.structs.replace(training, checkpoint_every=1, hostfile=None),
        TRANSFORM_VERSION,
    )
    return hashlib.sha256(msgspec.json.encode(wanted, order="deterministic")).hexdigest()


def _fingerprint(request: str, data: dict[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode((request, data), order="deterministic")).hexdigest()[
        :32
    ]


def _recent(job: Job, request: str) -> Record | None:
    """Return a young enough result of the same request and data, None where there is none.

    Where the data's revisions cannot be asked for (the laptop is offline), the newest result of
    the same request stands in.
    """
    records = sorted(
        (record for record in _records(Path(job.stage1_dir)) if _fits(record, job, request)),
        key=lambda record: record.output.created_at,
        reverse=True,
    )
    records = [record for record in records if is_whole(record)]
    if not records:
        return None
    try:
        wanted = _fingerprint(request, _revisions(job))
    except TransientError:
        return records[0]
    return next((record for record in records if record.output.fingerprint == wanted), None)


def _records(folder: Path) -> list[Record]:
    """Return what may be reused at all: neither unfinished nor set aside."""
    found = []
    for path in sorted(folder.glob(f"*/{RECORD_FILE}")):
        if path.parent.name.startswith(".") or is_set_aside(path.parent):
            continue
        record = read_record(path.parent)
        if record is not None:
            found.append(record)
    return found


def _fits(record: Record, job: Job, request: str) -> bool:
    young = age_days(record, job.now) <= job.settings.stage1.max_age_days
    return record.request == request and (young or record.run == job.run_id)


def _make(job: Job, request: str, base: Path, report: Report) -> Record:
    """Prepare, train, measure, and put the result under its fingerprint."""
    data = _revisions(job)
    fingerprint = _fingerprint(request, data)
    final = Path(job.stage1_dir) / fingerprint
    work = training_folder(final)
    folder = StageFolder(work)
    left_out = _prepare(job, folder, report)
    splits = read_splits(folder.data)
    training = train(
        TrainSpec(
            model_dir=base,
            folder=work,
            train=splits.train,
            valid=splits.valid,
            iterations=job.settings.stage1.iterations,
            learning_rate=job.settings.stage1.learning_rate,
            training=job.settings.training,
            lora=job.settings.lora,
            seed=job.settings.training.seed,
        ),
        report,
    )
    test = Split(splits.test, folder.evaluation)
    untuned = measure(job, test, "base", base, None, report)
    tuned = measure(job, test, "stage1", base, folder.adapters, report)
    record = Record(
        run=job.run_id,
        request=request,
        base=job.settings.models.base,
        output=Stage1Output(
            fingerprint=fingerprint,
            reused=False,
            created_at=job.now,
            folder=str(final),
            base_metrics=untuned.metrics,
            metrics=tuned.metrics,
            examples=ExampleCounts(
                train=len(splits.train), validation=len(splits.valid), test=len(splits.test)
            ),
            left_out=left_out,
            revisions=data,
            training=training,
        ),
        files={
            path.relative_to(work).as_posix(): file_hash(path)
            for path in sorted(work.rglob("*"))
            if path.is_file() and path.name != RECORD_FILE
        },
    )
    write_file(work / RECORD_FILE, msgspec.json.encode(record))
    _put(work, final)
    return record


def _prepare(job: Job, folder: StageFolder, report: Report) -> dict[str, int]:
    """Write Stage 1's splits once; return what was left out of them, by reason."""
    known = folder.root / LEFT_OUT_FILE
    if known.exists():
        return msgspec.json.decode(known.read_bytes(), type=dict[str, int])
    stage1 = job.settings.stage1
    found = prepare(
        stage1.sources,
        stage1.max_examples,
        seed=job.settings.training.seed,
        cache=_cache(job),
        into=folder.data,
        # Nothing is trained yet; a report is also how a step hears that it is to stop.
        alive=lambda _: report(Progress(iteration=0, iterations=stage1.iterations)),
    )
    write_file(known, msgspec.json.encode(found.left_out))
    return found.left_out


def _cache(job: Job) -> Path:
    return Path(job.stage1_dir) / CACHE_FOLDER


def _revisions(job: Job) -> dict[str, str]:
    return revisions(job.settings.stage1.sources, _cache(job))


def _put(work: Path, final: Path) -> None:
    """Give the finished work its name; an aged result of the same name goes."""
    sync_tree(work)
    old = old_folder(final)
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.replace(old)
    work.replace(final)
    sync_folder(final.parent)
    shutil.rmtree(old, ignore_errors=True)
