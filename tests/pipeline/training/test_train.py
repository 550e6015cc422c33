"""Training: exact resume, checkpoints, where Stage 2 starts, what is refused."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

import mlx_lm
import msgspec
import pytest

from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.interface import (
    EndRun,
    PermanentError,
    Progress,
    StopRequested,
    TransientError,
)
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]
Kill = Callable[[TrainSpec, int], None]
Made = Callable[[Path], tuple[bytes, str, bytes]]
Same = Callable[[Path], bool]
Names = Callable[[Path], list[str]]


def short_examples(*answers: str) -> tuple[Example, ...]:
    """Return an example for each answer."""
    return tuple(
        Example(id=f"v{n}", messages=conversation(f"Fix n{n}: eval(x);", answer), group="v")
        for n, answer in enumerate(answers)
    )


UNSTEADY = {
    "iterations": 30,
    "learning_rate": 1e-2,
    "warmup_ratio": 0.0,
    "train": short_examples("n0: literal_eval(x);"),
    "valid": short_examples("n3: literal_eval(y); return x;", "n4: literal_eval(x, 3) or None;"),
}
"""Its validation loss goes up and down on the way, and up in the end."""


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def losses(folder: Path, name: str) -> dict[int, float]:
    """Return a loss curve by iteration."""
    rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    return {row["iteration"]: row[name] for row in rows if name in row}


def test_sigkill_and_resume_give_the_same_bytes(
    make_spec: Make, tmp_path: Path, killed_at: Kill, checkpoints: Names, as_trained: Same
) -> None:
    """A training killed in the middle ends, with dropout and warm-up, as one left alone."""
    spec = make_spec(tmp_path / "run")
    killed_at(spec, 8)
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert as_trained(spec.folder)


def test_stops_checkpoint_where_they_come(
    make_spec: Make, tmp_path: Path, stopped_at: Kill, checkpoints: Names, as_trained: Same
) -> None:
    """Stops, one of them behind the last iteration, leave exactly that point and change nothing."""
    spec = make_spec(tmp_path / "run")
    for iteration in (3, 4, 7, 12):
        stopped_at(spec, iteration)
        assert checkpoints(spec.folder)[-1] == f"{iteration:07d}"
        assert len(checkpoints(spec.folder)) <= 2
        assert not (spec.folder / "adapters").exists()
    assert train(spec, unheard).resumed_at == 12
    assert as_trained(spec.folder)


def test_a_stop_within_validation_loses_no_validation(
    make_spec: Make, tmp_path: Path, checkpoints: Names, as_trained: Same
) -> None:
    """A stop before the validation loss is known leaves it to be measured after the resume."""
    spec = make_spec(tmp_path / "run")

    def report(progress: Progress) -> None:
        if progress.iteration == 4 and progress.loss is None:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        train(spec, report)
    assert checkpoints(spec.folder) == ["0000004"]
    train(spec, unheard)
    assert as_trained(spec.folder)


@pytest.mark.parametrize("name", ["adapters.safetensors", "optimizer.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over(
    make_spec: Make, tmp_path: Path, name: str, stopped_at: Kill, as_trained: Same
) -> None:
    """Training goes on from the checkpoint before the damaged one."""
    spec = make_spec(tmp_path / "run")
    stopped_at(spec, 11)
    path = spec.folder / "checkpoints" / "0000011" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert train(spec, unheard).resumed_at == 10
    assert as_trained(spec.folder)


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_on_the_disk_is_no_checkpoint(
    make_spec: Make, tmp_path: Path, checkpoints: Names, as_trained: Same
) -> None:
    """Training ends with an error, the checkpoint before stands, and there it goes on."""
    spec = make_spec(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(progress: Progress) -> None:
        if progress.iteration == 7:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(OSError, match="checkpoint cannot be written"):
            train(spec, report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert as_trained(spec.folder)


@pytest.mark.slow
def test_checkpoints_of_another_training_are_ignored(
    make_spec: Make, tmp_path: Path, stopped_at: Kill, checkpoints: Names, as_trained: Same
) -> None:
    """Nothing of a training with other settings enters this one."""
    stopped_at(make_spec(tmp_path / "run", learning_rate=2e-3), 6)
    spec = make_spec(tmp_path / "run")
    stopped_at(spec, 5)
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert as_trained(spec.folder)


def test_a_finished_training_returns_at_once(make_spec: Make, trained: Path) -> None:
    """The same spec again trains nothing and gives the same summary."""
    seen: list[Progress] = []
    again = train(make_spec(trained), seen.append)
    assert seen == []
    assert again == train(make_spec(trained), seen.append)
    assert again.iterations == 12
    assert again.tokens == sum(
        row["tokens"]
        for row in map(json.loads, (trained / "losses.jsonl").read_text().splitlines())
        if "train_loss" in row
    )
    curve = losses(trained, "train_loss")
    assert (again.first_loss, again.last_loss) == (curve[1], curve[12])


def test_every_iteration_is_reported(make_spec: Make, tmp_path: Path) -> None:
    """Progress counts up to the end, with loss, pace and time left."""
    seen: list[Progress] = []
    train(make_spec(tmp_path / "run", iterations=3, valid=()), seen.append)
    assert [(progress.iteration, progress.iterations) for progress in seen] == [
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    assert all(progress.loss and progress.tokens_per_second for progress in seen)
    assert seen[-1].eta_seconds == 0


def test_the_adapter_is_in_the_form_of_mlx_lm(base: Path, trained: Path) -> None:
    """mlx-lm loads the adapter on the base, and generates with it."""
    model, tokenizer = mlx_lm.load(str(base), adapter_path=str(trained / "adapters"))
    assert isinstance(mlx_lm.generate(model, tokenizer, [5, 6, 7], max_tokens=3), str)


def test_stage2_starts_from_the_stage1_adapter(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Its first losses on Stage 1 data are the Stage 1 adapter's, not the base model's."""
    stage1 = make_spec(trained)
    base_loss, stage1_loss = (losses(trained, "valid_loss")[n] for n in (0, 12))
    spec = make_spec(
        tmp_path / "stage2",
        resume_adapter=trained / "adapters",
        train=stage1.valid,
        iterations=1,
        dropout=0.0,
        batch_size=2,
    )
    train(spec, unheard)
    assert losses(spec.folder, "valid_loss")[0] == pytest.approx(stage1_loss, abs=1e-5)
    # Both validation examples in one batch, so that the training loss is over the same tokens.
    assert losses(spec.folder, "train_loss")[1] == pytest.approx(stage1_loss, abs=1e-4)
    assert base_loss - stage1_loss > 0.1


def test_an_adapter_that_does_not_fit_is_refused(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Neither another rank nor another scale is taken for a start."""
    for change in ({"rank": 2}, {"scale": 10.0}):
        spec = make_spec(tmp_path / "run", resume_adapter=trained / "adapters", **change)
        with pytest.raises(PermanentError, match="does not fit"):
            train(spec, unheard)


def test_an_unknown_target_module_is_named(make_spec: Make, tmp_path: Path) -> None:
    """The message names the wrong module and the right ones."""
    spec = make_spec(tmp_path / "run", target_modules=("q_proj", "query"))
    with pytest.raises(PermanentError, match=r"'query'.*q_proj"):
        train(spec, unheard)


def test_nothing_that_fits_is_refused(make_spec: Make, tmp_path: Path) -> None:
    """Without an example that fits there is nothing to train on."""
    with pytest.raises(PermanentError, match=r"max_seq_length.*too long"):
        train(make_spec(tmp_path / "run", max_seq_length=16), unheard)


def test_numbers_that_are_not_finite_hold_the_run(make_spec: Make, tmp_path: Path) -> None:
    """A training that diverges ends held, with no adapter."""
    spec = make_spec(tmp_path / "run", learning_rate=1e30, valid=())
    with pytest.raises(EndRun, match="diverged") as caught:
        train(spec, unheard)
    assert caught.value.state == "held"
    assert not (spec.folder / "adapters").exists()


@pytest.mark.slow
def test_the_best_adapter_is_kept(make_spec: Make, tmp_path: Path) -> None:
    """What ends in adapters/ has the lowest validation loss of all, not the last one."""
    spec = make_spec(tmp_path / "run", **UNSTEADY)
    found = train(spec, unheard)
    curve = losses(spec.folder, "valid_loss")
    assert found.best_iteration == min(curve, key=lambda n: (curve[n], -n))
    assert 0 < found.best_iteration < found.iterations == 30
    assert not found.stopped_early
    again = make_spec(
        tmp_path / "again",
        **UNSTEADY | {"iterations": 1, "resume_adapter": spec.folder / "adapters"},
    )
    train(again, unheard)
    assert losses(again.folder, "valid_loss")[0] == pytest.approx(curve[found.best_iteration])


@pytest.fixture(scope="module")
def stalled(make_spec: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainSpec, int]:
    """Return the spec of a training that stopped early, and its last iteration."""
    spec = make_spec(tmp_path_factory.mktemp("stalled"), early_stopping=2, **UNSTEADY)
    return spec, train(spec, unheard).iterations


def test_it_stops_where_validation_gets_no_better(stalled: tuple[TrainSpec, int]) -> None:
    """After two validations without a lower loss nothing more is trained."""
    spec, end = stalled
    found = train(spec, unheard)
    curve = losses(spec.folder, "valid_loss")
    assert found.stopped_early
    assert found.iterations == max(curve) == end < 30
    assert found.best_iteration == sorted(curve)[-3]
    assert found.last_loss == losses(spec.folder, "train_loss")[end]


@pytest.mark.slow
def test_a_stop_behind_the_early_end_trains_no_further(
    stalled: tuple[TrainSpec, int], tmp_path: Path, stopped_at: Kill, made: Made
) -> None:
    """A training that was over when it was stopped only writes its adapter when it goes on."""
    alone, end = stalled
    spec = msgspec.structs.replace(alone, folder=tmp_path / "run")
    stopped_at(spec, end)
    seen: list[Progress] = []
    assert train(spec, seen.append).iterations == end
    assert seen == []
    assert made(spec.folder) == made(alone.folder)


def test_without_validation_the_last_adapter_is_kept(make_spec: Make, tmp_path: Path) -> None:
    """There is no best one, and nothing stops early."""
    spec = make_spec(tmp_path / "run", iterations=3, valid=(), early_stopping=1)
    found = train(spec, unheard)
    assert (found.iterations, found.best_iteration, found.stopped_early) == (3, None, False)


def test_few_examples_cap_the_iterations(make_spec: Make, tmp_path: Path) -> None:
    """Progress and summary have the capped number, and the summary the one asked for."""
    seen: list[Progress] = []
    spec = make_spec(tmp_path / "run", iterations=500, max_epochs=0.5, valid=())
    found = train(spec, seen.append)
    assert (found.iterations, found.capped_from) == (4, 500)
    assert {progress.iterations for progress in seen} == {4}


@pytest.mark.slow
def test_a_nearly_full_disk_stops_with_its_reason(
    make_spec: Make, tmp_path: Path, checkpoints: Names, as_trained: Same
) -> None:
    """No checkpoint is begun, those before stand, and with room again the training goes on."""
    spec = make_spec(tmp_path / "run")
    room = [10**12, 10**12]
    with pytest.raises(TransientError, match=r"nearly full \(9 MB free, .* needs .* make room"):
        train(spec, unheard, free=lambda _: room.pop() if room else 9_000_000)
    assert checkpoints(spec.folder) == ["0000005"]
    assert not list((spec.folder / "checkpoints").glob("*.staged"))
    assert train(spec, unheard).resumed_at == 5
    assert as_trained(spec.folder)


def test_a_full_disk_is_found_before_anything_is_trained(make_spec: Make, tmp_path: Path) -> None:
    """The disk that will not take the first checkpoint costs no hours."""
    seen: list[Progress] = []
    with pytest.raises(TransientError, match="nearly full"):
        train(make_spec(tmp_path / "run"), seen.append, free=lambda _: 0)
    assert seen == []


@pytest.mark.slow
def test_a_stop_between_two_steps_saves_the_last_one(
    make_spec: Make, tmp_path: Path, stopped_at: Kill, made: Made, checkpoints: Names
) -> None:
    """While gradients are being summed up, the checkpoint is the optimizer's last step."""
    changes = {"grad_accumulation_steps": 3, "checkpoint_every": 100, "schedule": "cosine"}
    alone = make_spec(tmp_path / "alone", **changes)
    train(alone, unheard)
    spec = make_spec(tmp_path / "run", **changes)
    stopped_at(spec, 2)
    assert not (spec.folder / "checkpoints" / "0000000").exists()
    for iteration, saved in ((5, 3), (6, 6), (8, 6), (10, 9)):
        stopped_at(spec, iteration)
        assert checkpoints(spec.folder)[-1] == f"{saved:07d}"
    assert train(spec, unheard).resumed_at == 9
    assert made(spec.folder) == made(alone.folder)


def test_alpha_sets_the_scale(make_spec: Make, base: Path, tmp_path: Path) -> None:
    """lora.alpha / lora.rank is what mlx-lm multiplies by."""
    spec = make_spec(tmp_path / "run", iterations=1, alpha=6.0, valid=())
    train(spec, unheard)
    config = json.loads((spec.folder / "adapters" / "adapter_config.json").read_text())
    assert config["lora_parameters"]["scale"] == 1.5


def test_dora_is_in_the_form_of_mlx_lm(make_spec: Make, base: Path, tmp_path: Path) -> None:
    """mlx-lm loads a DoRA adapter; a LoRA training does not start from one."""
    spec = make_spec(tmp_path / "run", iterations=4, type="dora")
    train(spec, unheard)
    model, _ = mlx_lm.load(str(base), adapter_path=str(spec.folder / "adapters"))
    assert {type(layer.self_attn.q_proj).__name__ for layer in model.layers} == {"DoRALinear"}
    plain = make_spec(tmp_path / "plain", resume_adapter=spec.folder / "adapters")
    with pytest.raises(PermanentError, match=r"lora\.type"):
        train(plain, unheard)
