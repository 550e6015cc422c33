"""The methods against forgetting in real trainings: combined, resumed, refused, and their effect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import pytest
from mlx.utils import tree_flatten

from secdaemon.config.schema import Stage2
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.interface import PermanentError, Progress, StopRequested
from secdaemon.pipeline.splitting.splits import REPLAY_MARK
from secdaemon.pipeline.training import adapter, rates, trainer
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.forgetting import objective, order
from secdaemon.pipeline.training.rehearsal import Rehearsal
from secdaemon.pipeline.training.tokens import Prepared, prepare
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]
Examples = Callable[..., tuple[Example, ...]]

EVERYTHING = ("replay", "distillation", "ewc", "multitask", "curriculum")


def methods(*names: str, **changes: Any) -> Stage2:
    """Return the settings of Stage 2 with these methods."""
    fields: dict[str, Any] = {
        "iterations": 12,
        "learning_rate": 1e-3,
        "method": names,
        "replay_ratio": 0.15,
        "distillation_weight": 0.3,
        "distillation_temperature": 4.0,
        "ewc_lambda": 1.0,
        "multitask_ratio": 0.4,
        "quality_weight_multiplier": 2.5,
        "local_model": False,
        "corpus": "accumulated",
        "augmentation": 0,
    }
    return Stage2(**(fields | changes))


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def weights(folder: Path) -> bytes:
    """Return the adapter's bytes."""
    return (folder / "adapters" / "adapters.safetensors").read_bytes()


def distance(one: Path, other: Path) -> float:
    """Return how far two adapters are apart, as a sum of squares."""
    first: Any = mx.load(str(one / "adapters" / "adapters.safetensors"))
    second: Any = mx.load(str(other / "adapters" / "adapters.safetensors"))
    return float(sum(((first[name] - second[name]) ** 2).sum().item() for name in first))


@pytest.fixture
def make_stage2(make_spec: Make, make_examples: Examples, trained: Path) -> Make:
    """Return a maker of Stage 2 specs: other examples, from a trained adapter."""

    def make(folder: Path, settings: Stage2 | None, **changes: Any) -> TrainSpec:
        fields: dict[str, Any] = {
            "train": make_examples(6, first=40),
            "seed": 4,
            "resume_adapter": trained / "adapters",
            "against_forgetting": settings,
            "known": make_examples(7),
        }
        return make_spec(folder, **(fields | changes))

    return make


def prepared(spec: TrainSpec) -> tuple[Prepared, Prepared]:
    """Return a spec's own and Stage 1's examples as tokens."""
    _, tokenizer = load_base(spec.model_dir)
    return prepare(tokenizer, spec.train, 128), prepare(tokenizer, spec.known, 128)


def stopped_at(spec: TrainSpec, last: int) -> None:
    """Train until a stop is requested behind an iteration."""

    def report(progress: Progress) -> None:
        if progress.iteration == last and progress.loss is not None:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        train(spec, report)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(EVERYTHING, marks=pytest.mark.slow),
        pytest.param(("distillation",), marks=pytest.mark.slow),
        pytest.param(("ewc",), marks=pytest.mark.slow),
        ("multitask",),
    ],
)
def test_stops_change_nothing(make_stage2: Make, tmp_path: Path, names: tuple[str, ...]) -> None:
    """With dropout, warm-up and accumulation, a training stopped twice ends in the same bytes."""
    settings = methods(*names)
    changes = {"grad_accumulation_steps": 2, "batch_size": 2, "schedule": "cosine"}
    train(make_stage2(tmp_path / "whole", settings, **changes), unheard)
    spec = make_stage2(tmp_path / "stopped", settings, **changes)
    stopped_at(spec, 3)
    stopped_at(spec, 8)
    assert (spec.folder / "checkpoints" / "fisher").is_dir() == ("ewc" in names)
    assert train(spec, unheard).resumed_at == 8
    assert weights(spec.folder) == weights(tmp_path / "whole")
    assert not (spec.folder / "checkpoints").exists()


@pytest.mark.slow
def test_a_quantised_base_resumes_too(make_stage2: Make, make_spec: Make, tmp_path: Path) -> None:
    """All methods together on a q4 base, from a Stage 1 adapter of that base, resume exactly."""
    from mlx_lm import convert

    base = tmp_path / "q4"
    source = make_spec(tmp_path).model_dir
    convert(str(source), str(base), quantize=True, q_group_size=32, q_bits=4)
    train(make_spec(tmp_path / "stage1", model_dir=base), unheard)
    changes = {"model_dir": base, "resume_adapter": tmp_path / "stage1" / "adapters"}
    train(make_stage2(tmp_path / "whole", methods(*EVERYTHING), **changes), unheard)
    spec = make_stage2(tmp_path / "stopped", methods(*EVERYTHING), **changes)
    stopped_at(spec, 7)
    assert train(spec, unheard).resumed_at == 7
    assert weights(spec.folder) == weights(tmp_path / "whole")


def test_a_stop_within_the_fisher_information_is_heard(make_stage2: Make, tmp_path: Path) -> None:
    """Stage 1's examples are gone through with a report each, and a stop leaves nothing half."""
    spec = make_stage2(tmp_path / "run", methods("ewc"))

    def report(_: Progress) -> None:
        msg = "asked to stop"
        raise StopRequested(msg)

    with pytest.raises(StopRequested):
        train(spec, report)
    assert not (spec.folder / "checkpoints" / "fisher").exists()


def test_the_fisher_information_is_computed_once(make_stage2: Make, tmp_path: Path) -> None:
    """A second process reads it, and puts the same penalty on the same weights."""
    spec = make_stage2(tmp_path / "run", methods("ewc", ewc_lambda=1e4))
    own, known = prepared(spec)
    heard: list[Progress] = []

    def loss() -> trainer.Loss:
        model, _ = load_base(spec.model_dir)
        config = adapter.attach(model, spec.lora)
        assert spec.resume_adapter is not None
        adapter.load_weights(model, spec.resume_adapter, config)
        return objective(model, known, spec, heard.append)

    one = loss()
    assert len(heard) == len(known.examples)
    other = loss()
    assert len(heard) == len(known.examples)
    model, _ = load_base(spec.model_dir)
    mx.random.seed(1)
    adapter.attach(model, spec.lora)
    model.eval()
    ids, spans = (mx.array(part) for part in next(order(own, known, spec).batches(0)))
    plain = trainer.answer_loss(model, ids, spans)[0].item()
    assert one(model, ids, spans)[0].item() == other(model, ids, spans)[0].item() > plain


def test_methods_decide_the_order(make_stage2: Make, tmp_path: Path) -> None:
    """Replay and the two losses leave the plain order; the other two mix Stage 1's batches in."""
    for names, kind in [
        ((), Feed),
        (("replay", "distillation", "ewc"), Feed),
        (("multitask",), Rehearsal),
        (("curriculum", "ewc"), Rehearsal),
        (EVERYTHING, Rehearsal),
    ]:
        spec = make_stage2(tmp_path, methods(*names))
        assert type(order(*prepared(spec), spec)) is kind
    spec = make_stage2(tmp_path, None)
    assert type(order(*prepared(spec), spec)) is Feed


def test_the_curriculum_begins_with_what_is_known_and_checked(
    make_stage2: Make, make_examples: Examples, tmp_path: Path
) -> None:
    """Replayed examples come first, then checked fixes, then the rest, the shorter ones first."""
    marks = [
        {"quality": "low"},
        {"quality": "high"},
        {REPLAY_MARK: "true"},
        {},
        {"quality": "high"},
    ]
    own = tuple(
        msgspec.structs.replace(example, metadata=metadata)
        for example, metadata in zip(make_examples(5), marks, strict=True)
    )
    spec = make_stage2(tmp_path, methods("curriculum"), train=own, iterations=400)
    tokens, known = prepared(spec)
    feed = order(tokens, known, spec)
    drawn = [feed.rows(position).item() for position in range(100)]
    shorter = min((1, 4), key=lambda place: (len(tokens.examples[place].ids), place))
    assert {row for row in drawn if row < 5} == {2, shorter}
    last = {feed.rows(position).item() for position in range(300, 400)}
    assert last >= set(range(5))


def test_no_adapter_is_refused(make_stage2: Make, tmp_path: Path) -> None:
    """Distillation and consolidation need a Stage 1 adapter, and say so."""
    for name in ("distillation", "ewc"):
        spec = make_stage2(tmp_path, methods(name), resume_adapter=None)
        with pytest.raises(PermanentError, match=f"{name} needs a Stage 1 adapter"):
            order(*prepared(spec), spec)


def test_no_stage_1_examples_are_refused(make_stage2: Make, tmp_path: Path) -> None:
    """What rehearses Stage 1 needs its examples, and says so."""
    for name in ("ewc", "multitask", "curriculum"):
        spec = make_stage2(tmp_path, methods(name), known=())
        with pytest.raises(PermanentError, match=f"{name} needs Stage 1 training examples"):
            order(*prepared(spec), spec)


@pytest.mark.slow
def test_consolidation_holds_the_adapter(make_stage2: Make, trained: Path, tmp_path: Path) -> None:
    """A large lambda leaves the adapter closer to Stage 1's than plain training does."""
    train(make_stage2(tmp_path / "plain", methods()), unheard)
    train(make_stage2(tmp_path / "held", methods("ewc", ewc_lambda=1e5)), unheard)
    assert distance(tmp_path / "held", trained) < 0.8 * distance(tmp_path / "plain", trained)


@pytest.mark.slow
def test_distillation_keeps_the_answers(make_stage2: Make, trained: Path, tmp_path: Path) -> None:
    """With the teacher's answer alone in the loss, the model says what Stage 1 said."""
    same = {"dropout": 0.0, "weight_decay": 0.0}
    train(make_stage2(tmp_path / "plain", methods(), **same), unheard)
    settings = methods("distillation", distillation_weight=1.0)
    train(make_stage2(tmp_path / "kept", settings, **same), unheard)
    ids = mx.array([[5, 6, 7, 8, 9, 10, 11, 12]])

    def answer(folder: Path) -> mx.array:
        model, _ = load_base(make_stage2(tmp_path, None).model_dir, folder / "adapters")
        return mx.softmax(model(ids), axis=-1)

    was = answer(trained)
    moved = {name: mx.abs(answer(tmp_path / name) - was).sum().item() for name in ("plain", "kept")}
    assert moved["kept"] < 0.5 * moved["plain"]


@pytest.mark.slow
def test_gradient_checkpointing_changes_no_loss(make_stage2: Make, tmp_path: Path) -> None:
    """The teacher goes through the checkpointed layers too; the adapter comes out the same."""
    settings = methods(*EVERYTHING)
    for name, flag in (("plain", False), ("checkpointed", True)):
        spec = make_stage2(tmp_path / name, settings, dropout=0.0, grad_checkpoint=flag)
        train(spec, unheard)
    assert distance(tmp_path / "plain", tmp_path / "checkpointed") < 1e-6


def test_a_teacher_outlives_the_training(make_stage2: Make, trained: Path, tmp_path: Path) -> None:
    """Training moves the adapter away from Stage 1's under the teacher without moving it."""
    from secdaemon.pipeline.training.distillation import distilled, teacher_of

    spec = make_stage2(tmp_path / "run", methods("distillation"))
    own, known = prepared(spec)
    model, _ = load_base(spec.model_dir)
    config = adapter.attach(model, spec.lora)
    adapter.load_weights(model, trained / "adapters", config)
    teacher = teacher_of(model)
    before = {name: array + 0 for name, array in tree_flatten(teacher.parameters())}
    mx.eval(before)
    memory = mx.get_active_memory()
    optimizer = rates.optimizer(1e-3, 0.0)
    optimizer.init(model.trainable_parameters())
    feed = order(own, known, spec)
    trainer.run(
        model,
        optimizer,
        ((mx.array(ids), mx.array(spans)) for ids, spans in feed.batches(0)),
        lambda _: None,
        loss=distilled(teacher, 0.3, 4.0),
        iterations=3,
        accumulation=1,
        grad_checkpoint=False,
        cache_bytes=0,
        adapter_file=tmp_path / "adapters.safetensors",
    )
    trained_bytes = sum(array.nbytes for _, array in tree_flatten(model.trainable_parameters()))
    assert mx.get_active_memory() < memory + 5 * trained_bytes
    for name, array in tree_flatten(teacher.parameters()):
        assert mx.array_equal(array, before[name]).item()
    assert not teacher.training
