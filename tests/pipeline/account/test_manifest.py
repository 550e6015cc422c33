"""run-manifest.json: every field of the plan, nothing of this computer, and a check that sees."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.schema import Stage1
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account.manifest import (
    Manifest,
    build_manifest,
    check,
    library_versions,
    write,
)
from secdaemon.pipeline.account.manifest_check import check_files
from secdaemon.pipeline.account.portable import absolute_path, portable, short_name
from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.interface import (
    Champion,
    Gate,
    HealingAttempt,
    Job,
    Outputs,
    RetentionOutput,
    TwoSplits,
)

SAMPLE = msgspec.json.decode(Path(__file__).with_name("sample_run.json").read_bytes())
HOME = Home(Path("/Users/someone/secdaemon"), chosen=True)
OUTPUTS = msgspec.convert(SAMPLE["outputs"], Outputs)
LIBRARIES = {"mlx": "0.32.4", "python": "3.11.7"}


def sample_job() -> Job:
    """Return the sample's job, in a home whose paths must not get out."""
    settings = load_settings(HOME, environ={"SECDAEMON_MODELS__BASE": "embedded:tiny"})
    places = {
        "run_dir": f"{settings.models.fine_tuned_dir}/webauthn-security-sequential-x",
        "stage1_dir": str(HOME.stage1),
        "archive": str(HOME.archive / "x.zip"),
        "lock_file": str(HOME.locks / "heavy.lock"),
    }
    return msgspec.convert({**SAMPLE["job"], **places, "settings": settings}, Job)


JOB = sample_job()
MANIFEST = build_manifest(JOB, OUTPUTS, libraries=LIBRARIES)
PLAIN: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(MANIFEST))


def field_paths(value: Any, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every field of the manifest's own records."""
    open_ended = {
        "findings_by_tool",
        "examples_by_category",
        "examples_by_approach",
        "seeds",
        "data_fingerprints",
        "data_revisions",
        "libraries",
        "left_out",
    }
    if not isinstance(value, dict):
        return []
    found = [(*where, key) for key in value]
    for key, item in value.items():
        if key not in open_ended:
            found += field_paths(item, (*where, key))
    return found


def healed(judged: RetentionOutput) -> RetentionOutput:
    """Return the sample's verdict as it would be had the model forgotten, been moved, and passed."""
    attempt = HealingAttempt(
        kind="trained",
        training=0,
        t=1.0,
        replay_ratio=0.15,
        learning_rate=4e-6,
        retention=0.412,
        improvement=0.7,
        passed=False,
        chosen=False,
        detail="less than the threshold",
    )
    change = msgspec.structs.replace
    moved = change(attempt, kind="walk", t=0.4375, retention=0.931, passed=True, chosen=True)
    other = change(judged.stage1_test, loss=1.3131)
    return change(
        judged,
        healing=(attempt, moved),
        remedy="healed (1 point): Stage 2 as trained kept 0.412",
        healed=TwoSplits(stage1_test=other, stage2_test=other),
        champion=Champion(run="20261101_000000", stage1_test=other, stage2_test=other),
    )


def strings(value: Any) -> list[str]:
    """Return every text in plain data, keys too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def written(tmp_path: Path, value: object) -> Path:
    """Return the path of a manifest file that holds `value`."""
    path = tmp_path / "run-manifest.json"
    path.write_bytes(msgspec.json.encode(value))
    return path


def test_it_has_the_fields_of_the_plan() -> None:
    """The plan's names stand where the plan has them, with the run's values."""
    assert PLAIN["version"] == "2.0"
    assert PLAIN["pipeline_type"] == "sequential"
    assert PLAIN["run_id"] == "20261122_074201"
    assert PLAIN["timestamp"] == "2026-11-22T07:58:31Z"
    assert PLAIN["base_model"] == "embedded:tiny"
    assert PLAIN["base_model_id"] == "secdaemon/embedded-tiny"
    assert PLAIN["final_model_path"] == "./final-model"
    for stage in ("stage1", "stage2"):
        assert PLAIN[stage]["adapters_path"] == f"./{stage}/adapters"
        assert PLAIN[stage]["training_data_path"] == f"./{stage}/training-data"
        assert PLAIN[stage]["evaluation_results_path"] == f"./{stage}/evaluation"


def test_training_params_are_those_of_each_stage() -> None:
    """Stage 2 says beside the common four that it resumed and how much it replayed."""
    assert PLAIN["stage1"]["training_params"] == {
        "learning_rate": 2e-5,
        "batch_size": 1,
        "num_iters": 5000,
        "quality_weight_multiplier": 1.0,
    }
    assert PLAIN["stage2"]["training_params"] == {
        "learning_rate": 4e-6,
        "batch_size": 1,
        "num_iters": 1600,
        "quality_weight_multiplier": 2.5,
        "resume_from_stage1": True,
        "stage1_replay_ratio": 0.15,
        "method": ["replay"],
    }


def test_dataset_stats_add_up() -> None:
    """Own and replayed examples together are what Stage 2 trained on."""
    stats = PLAIN["stage2"]["dataset_stats"]
    assert stats["sources"] == ["Semgrep OSS", "Trivy", "checkov", "osv-scanner"]
    assert stats["splits"] == {"train": 117, "validation": 15, "test": 15}
    assert stats["webauthn_examples"] == 117
    assert stats["stage1_replay_examples"] == 18
    assert stats["total_train_examples"] == 135
    assert PLAIN["stage1"]["dataset_stats"]["total_train_examples"] == 612


def test_what_is_written_is_whole(tmp_path: Path) -> None:
    """A manifest written and read back has nothing to complain about, and reads as it was."""
    path = tmp_path / "run-manifest.json"
    write(MANIFEST, path)
    assert check(path) == []
    assert msgspec.json.decode(path.read_bytes(), type=Manifest) == MANIFEST


def test_the_publish_step_finds_nothing_to_hide_in_it(tmp_path: Path) -> None:
    """No hash or version in a manifest looks like a secret to the redactor."""
    path = tmp_path / "run-manifest.json"
    write(MANIFEST, path)
    text = path.read_text(encoding="utf-8")
    assert redact(text) == text


HEX = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)


@given(HEX, HEX, HEX)
def test_no_hash_looks_like_a_secret(one: str, other: str, third: str) -> None:
    """Whatever the digests are, the redactor leaves the manifest's text as it is."""
    found = msgspec.structs.replace(
        MANIFEST,
        artifact=msgspec.structs.replace(MANIFEST.artifact, sha256=one),
        source=msgspec.structs.replace(MANIFEST.source, commit=other[:40]),
        stage1=msgspec.structs.replace(MANIFEST.stage1, fingerprint=third[:32]),
        data_fingerprints={"project_examples": other, "stage1": third[:32]},
        data_revisions={"crossvul": third[:40]},
    )
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    assert redact(text) == text


@given(st.sampled_from(field_paths(PLAIN)))
def test_every_missing_field_is_named(tmp_path_factory: pytest.TempPathFactory, field: Any) -> None:
    """Whatever field is taken away, the check names it."""
    value = msgspec.json.decode(msgspec.json.encode(MANIFEST))
    part = value
    for name in field[:-1]:
        part = part[name]
    del part[field[-1]]
    wrong = check(written(tmp_path_factory.mktemp("missing"), value))
    assert any(".".join(field) in line or field[-1] in line for line in wrong) or optional(field)


def optional(field: tuple[str, ...]) -> bool:
    """Return whether the field has a default: the interface's own, or what came later."""
    defaulted = {"exact_match", "codebleu", "edited_loss", "edited_token_accuracy"}
    return field[-1] in defaulted | {"bound", "slack", "edited", "examples_by_approach"}


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    """Missing, wrong and foreign values each get a phrase of their own."""
    value = {**PLAIN, "version": "1.0", "run_id": "yesterday"}
    del value["timestamp"]
    value["stage1"] = {**PLAIN["stage1"], "adapters_path": "/Users/someone/adapters"}
    wrong = check(written(tmp_path, value))
    for name in ("version", "run_id", "timestamp: is missing", "stage1.adapters_path"):
        assert any(line.startswith(name) for line in wrong), name


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"null"])
def test_what_is_no_manifest_is_one_phrase(tmp_path: Path, content: bytes) -> None:
    """Anything but a JSON object is one complaint, not a traceback."""
    path = tmp_path / "run-manifest.json"
    path.write_bytes(content)
    assert len(check(path)) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is a complaint that names it."""
    assert check(tmp_path / "run-manifest.json")[0].startswith("run-manifest.json: cannot be read")


def test_sums_that_do_not_add_up_are_named(tmp_path: Path) -> None:
    """A count that is not conserved and a total that is no sum are seen."""
    value = msgspec.json.decode(msgspec.json.encode(MANIFEST))
    value["findings"]["in"] += 1
    value["stage2"]["dataset_stats"]["total_train_examples"] += 1
    wrong = check(written(tmp_path, value))
    assert [line.split(":")[0] for line in wrong] == ["findings", "stage2.dataset_stats"]


def test_a_run_that_is_not_judged_yet_has_a_manifest_that_says_so(tmp_path: Path) -> None:
    """Without retention the manifest can be built, and its check says what is missing."""
    early = msgspec.structs.replace(OUTPUTS, retention=None, publish=None)
    wrong = check(written(tmp_path, build_manifest(JOB, early, libraries=LIBRARIES)))
    assert wrong == [
        "retention: is not known yet",
        "metrics.stage1_test.stage2: is not known yet",
    ]


def test_what_was_tried_against_forgetting_is_in_it(tmp_path: Path) -> None:
    """Every attempt, what came of it, and the final model's own numbers beside Stage 2's."""
    assert OUTPUTS.retention is not None
    judged = healed(OUTPUTS.retention)
    found = build_manifest(
        JOB, msgspec.structs.replace(OUTPUTS, retention=judged), libraries=LIBRARIES
    )
    write(found, tmp_path / "run-manifest.json")
    assert check(tmp_path / "run-manifest.json") == []
    assert found.healing == judged.healing
    assert found.remedy == judged.remedy
    assert found.champion_run == "20261101_000000"
    assert judged.healed is not None
    for split in ("stage1_test", "stage2_test"):
        compared = getattr(found.metrics, split)
        assert compared.healed == compared.final == getattr(judged.healed, split)
        assert compared.champion == getattr(judged.champion, split)
    assert found.metrics.stage1_test.stage2 == judged.stage1_test


def test_a_run_without_its_stages_has_none() -> None:
    """Before Stage 2 there is nothing to describe."""
    with pytest.raises(ValueError, match="needs the outputs"):
        build_manifest(JOB, msgspec.structs.replace(OUTPUTS, stage2=None))


def test_no_path_of_this_computer_gets_in() -> None:
    """Sources, models, gate details and names that hold a path lose it."""
    settings = JOB.settings
    stage1 = msgspec.structs.replace(
        settings.stage1, sources=("/Users/someone/data/my fixes.jsonl",)
    )
    models = msgspec.structs.replace(settings.models, base="/Volumes/Big Disk/models/OLMo-q4")
    hostile = msgspec.structs.replace(
        JOB, settings=msgspec.structs.replace(settings, stage1=stage1, models=models)
    )
    assert OUTPUTS.retention is not None
    assert OUTPUTS.stage1 is not None
    detail = f"{JOB.run_dir}/final-model on {models.base}: mlx-lm cannot load it"
    gates = (Gate(name="generates", passed=False, quality=False, detail=detail),)
    outputs = msgspec.structs.replace(
        OUTPUTS,
        retention=msgspec.structs.replace(OUTPUTS.retention, gates=gates),
        stage1=msgspec.structs.replace(
            OUTPUTS.stage1, revisions={"/Users/someone/data/my fixes.jsonl": "sha256-abc"}
        ),
    )
    found = build_manifest(hostile, outputs, libraries=LIBRARIES)
    texts = strings(msgspec.to_builtins(found))
    assert not [text for text in texts if absolute_path(text)]
    assert not [text for text in texts if "someone" in text or "Volumes" in text]
    assert found.base_model == "OLMo-q4"
    assert found.stage1.dataset_stats.sources == ("my fixes.jsonl",)
    assert found.settings.stage1.sources == ("my fixes.jsonl",)
    assert found.data_revisions == {"my fixes.jsonl": "sha256-abc"}
    assert found.gates[0].detail == "final-model on OLMo-q4: mlx-lm cannot load it"


def test_every_setting_that_matters_is_kept() -> None:
    """The settings that decide the result stand as they were."""
    assert MANIFEST.settings.lora == JOB.settings.lora
    assert MANIFEST.settings.stage1 == Stage1(**msgspec.structs.asdict(JOB.settings.stage1))
    assert MANIFEST.seeds["training.seed"] == JOB.settings.training.seed


def test_the_same_job_gives_the_same_bytes() -> None:
    """A second build is equal byte for byte."""
    again = build_manifest(sample_job(), OUTPUTS, libraries=LIBRARIES)
    assert msgspec.json.encode(again) == msgspec.json.encode(MANIFEST)


def test_library_versions_name_the_interpreter() -> None:
    """Python, the platform and secdaemon itself are always among them."""
    assert {"secdaemon", "python", "platform"} <= library_versions().keys()


def test_the_places_it_names_are_looked_for(tmp_path: Path) -> None:
    """In a run directory every named folder has to be there."""
    path = tmp_path / "run-manifest.json"
    write(MANIFEST, path)
    assert len(check_files(path)) == 7
    for stage in ("stage1", "stage2"):
        for name in ("adapters", "training-data", "evaluation"):
            (tmp_path / stage / name).mkdir(parents=True)
    assert check_files(path) == ["final_model_path: ./final-model is not there"]


@given(st.text(alphabet=st.sampled_from("aB/\\: .~'\"C-")))
def test_making_portable_twice_changes_nothing_more(text: str) -> None:
    """What is portable has no absolute path, and stays as it is."""
    once = portable(text)
    assert absolute_path(once) is None
    assert portable(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/allenai/OLMo-2-0425-1B-Instruct",
        "acme/passkeys#123.1",
        "./stage1/adapters",
        "either/or, 3/4 of it",
        "src/main/App.kt:12",
    ],
)
def test_what_is_no_absolute_path_stays(text: str) -> None:
    """URLs, ids and relative paths are left alone."""
    assert portable(text) == text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("embedded:tiny", "embedded:tiny"),
        ("hitoshura25/crossvul", "hitoshura25/crossvul"),
        ("~/models/OLMo", "OLMo"),
        ("/Users/someone/x.parquet", "x.parquet"),
        ("data/x.jsonl", "x.jsonl"),
    ],
)
def test_names_are_short(name: str, short: str) -> None:
    """An id stays, a path is called by its end."""
    assert short_name(name) == short


def test_imports_are_light() -> None:
    """Manifest, cards and report need neither mlx nor numpy."""
    code = (
        "import sys; import secdaemon.pipeline.account.manifest, secdaemon.pipeline.account.cards, "
        "secdaemon.pipeline.account.report; "
        "print(sorted({'mlx','numpy','mlx_lm','transformers','datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
