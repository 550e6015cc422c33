"""The main job as a user sees it: zips in, published adapters out, status tells. All for real."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.pipeline.account.manifest import check

SETTINGS = """\
inbox: {stable_seconds: 0.2}
models: {base: "embedded:tiny"}
training: {max_seq_length: 1024, checkpoint_every: 5}
stage1: {sources: [embedded], iterations: 12}
stage2: {iterations: 8}
evaluation: {max_examples: 16, generate_examples: 1, max_tokens: 8, bootstrap_samples: 500}
publish: {target: folder}
"""
WORKING = [
    "received",
    "unpacked",
    "parsed",
    "dataset_built",
    "stage1_ready",
    "stage2_trained",
    "retained",
    "published",
]
CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "webauthn-392"
SAMPLES = Path(__file__).parents[1] / "pipeline" / "embedded" / "sample_scans"
SECONDS = 500


class House:
    """A home, and the command line run in it as a user runs it."""

    def __init__(self, root: Path, settings: str = SETTINGS) -> None:
        self.root = root
        (root / "inbox").mkdir(parents=True)
        (root / "config.yaml").write_text(settings, encoding="utf-8")

    def run(self, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        kept = {key: os.environ[key] for key in ("PATH", "LD_PRELOAD") if key in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "secdaemon.daemon", "--home", str(self.root), *args],
            env=kept | {"HOME": str(self.root / "user")} | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def status(self, run: str = "") -> Any:
        """Return `status --json`, of one run or of all."""
        return json.loads(self.run("status", *([run] if run else []), "--json").stdout)

    def newest(self) -> Any:
        """Return the newest run."""
        return self.status(self.status()["runs"][0]["id"])

    def drop(self, name: str, members: dict[str, Path], new: str = "") -> None:
        """Drop a zip as a downloading browser does, with findings that were never seen before."""
        partial = self.root / "inbox" / f"{name}.part"
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, path in sorted(members.items()):
                archive.write(path, member)
            if new:
                archive.writestr(f"{new}/{new}.sarif", _sarif(new))
        partial.rename(self.root / "inbox" / name)


def _files(folder: Path, *tools: str) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and (not tools or path.relative_to(folder).parts[0] in tools)
    }


def _sarif(name: str) -> str:
    """Return a scan by a tool of this name, with four findings in files of their own."""
    results = [
        {
            "ruleId": f"{name}.rule-{n}",
            "message": {"text": f"Input number {n} reaches {name} unchecked."},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": f"{name}/part_{n}.py"},
                        "region": {"startLine": n, "snippet": {"text": f"run_{name}(x[{n}])"}},
                    }
                }
            ],
        }
        for n in range(1, 5)
    ]
    run = {"tool": {"driver": {"name": name}}, "results": results}
    return json.dumps({"version": "2.1.0", "runs": [run]})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home in which one artifact has gone all the way, and then a second one."""
    house = House(tmp_path_factory.mktemp("main") / "home")
    house.drop("first.zip", _files(SAMPLES))
    first = house.run("run", "--until-idle")
    assert first.returncode == 0, first.stderr
    house.drop("second.zip", _files(SAMPLES, "semgrep-results", "bandit-results"), "second")
    second = house.run("run", "--until-idle")
    assert second.returncode == 0, second.stderr
    return house


@pytest.fixture(scope="module")
def first(house: House) -> Any:
    """The first run, as `status RUN --json` shows it."""
    return house.status(house.status()["runs"][1]["id"])


@pytest.fixture(scope="module")
def second(house: House) -> Any:
    """The second run."""
    return house.status(house.status()["runs"][0]["id"])


def test_a_zip_in_the_inbox_ends_published(first: Any, house: House) -> None:
    """Every working state is passed once, in order, and the inbox is empty afterwards."""
    reached = [event["to"] for event in first["events"] if event["from"] != event["to"]]
    assert reached == WORKING
    assert first["state"] == "published"
    assert first["reason"] is None
    assert not list((house.root / "inbox").iterdir())


def test_status_is_the_contracts_json(first: Any, house: House) -> None:
    """A finished run shows every part of RUN, its counts conserved."""
    findings = first["findings"]
    assert findings["in"] == sum(
        findings[name] for name in ("kept", "duplicate", "suppressed", "rejected")
    )
    assert findings["in"] == sum(file["findings"] for file in first["files"])
    examples, answers = first["examples"], first["answers"]
    written = sum(examples[name] for name in ("train", "validation", "test"))
    assert written == sum(answers["approach"].values()) + answers["variants"]
    assert sum(answers["quality"].values()) == sum(answers["approach"].values())
    assert written - answers["variants"] >= findings["kept"]
    assert examples["replay"] == round(0.15 * (examples["train"] - answers["variants"]))
    for stage in (first["stage1"]["metrics"], first["stage2"]["metrics"]):
        assert set(stage) == {
            "examples",
            "loss",
            "perplexity",
            "token_accuracy",
            "exact_match",
            "codebleu",
        }
        assert stage["loss"] > 0
    assert first["stage2"]["metrics"]["loss"] < first["stage2"]["baseline"]["loss"]
    assert first["retention"]["passed"]
    assert first["retention"]["ci_low"] <= first["retention"]["value"]
    overview = house.status()
    assert overview["daemon"]["running"] is False
    assert overview["runs"][1] == {
        key: value
        for key, value in first.items()
        if key not in {"answers", "events", "files", "changes", "tools", "gates", "upstream"}
    }


def test_the_run_directory_is_laid_out_as_planned(first: Any) -> None:
    """Both stages have adapters, data and evaluation; the manifest names them and is whole."""
    folder = Path(first["run_dir"])
    assert folder.name == f"webauthn-security-sequential-{first['id']}"
    for stage in ("stage1", "stage2"):
        assert (folder / stage / "adapters" / "adapters.safetensors").stat().st_size > 0
        assert list((folder / stage / "evaluation").iterdir())
        assert {path.name for path in (folder / stage / "training-data").iterdir()} == {
            "train.jsonl",
            "valid.jsonl",
            "test.jsonl",
        }
    assert check(folder / "run-manifest.json") == []
    assert "<svg" in (folder / "report.html").read_text(encoding="utf-8")
    assert not list(folder.rglob(".*")), "something half-made was left behind"
    assert not (folder / "work").exists()


def test_the_published_adapter_loads_and_generates(first: Any, house: House) -> None:
    """mlx-lm loads the published MLX adapter on the base and writes with it."""
    model = Path(first["published"]["model_url"])
    assert (house.root / "published" / "latest").resolve().name == house.newest()["id"]
    assert {path.name for path in model.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "evaluation",
        "evaluation_results.json",
        "mlx",
        "report.html",
        "run-manifest.json",
        "training-recipe.yaml",
    }
    code = (
        "import sys; from mlx_lm import generate, load\n"
        "model, tokenizer = load(sys.argv[1], adapter_path=sys.argv[2])\n"
        "prompt = tokenizer.apply_chat_template([{'role': 'user', 'content': 'hello'}], "
        "add_generation_prompt=True)\n"
        "print(len(generate(model, tokenizer, prompt, max_tokens=4)))\n"
    )
    base = house.root / "models" / "base" / "embedded-tiny"
    done = subprocess.run(
        [sys.executable, "-c", code, str(base), str(model / "mlx")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.splitlines()[-1]) > 0
    assert house.run("validate", str(model)).returncode == 0


def test_nothing_published_names_this_computer(first: Any, house: House) -> None:
    """No absolute path of the home stands in what is published."""
    published = Path(first["published"]["model_url"]).parent
    for path in published.rglob("*"):
        if path.is_file():
            assert str(house.root).encode() not in path.read_bytes(), path


def test_the_second_artifact_reuses_stage1(first: Any, second: Any, house: House) -> None:
    """Its Stage 1 adapter is the first one's, byte for byte, and nothing was trained for it."""
    assert not first["stage1"]["reused"]
    assert second["stage1"]["reused"]
    assert second["stage1"]["fingerprint"] == first["stage1"]["fingerprint"]
    adapter = Path("stage1") / "adapters" / "adapters.safetensors"
    assert _sha256(Path(first["run_dir"]) / adapter) == _sha256(Path(second["run_dir"]) / adapter)
    assert [path.name for path in (house.root / "stage1").iterdir()] == [
        first["stage1"]["fingerprint"]
    ]


def test_the_same_data_in_another_zip_is_skipped(second: Any, house: House) -> None:
    """New bytes with known findings teach nothing: the reason names the run they equal."""
    house.drop("again.zip", _files(SAMPLES, "semgrep-results", "bandit-results", "README"))
    again = house.root / "inbox" / "again.zip"
    with zipfile.ZipFile(again, "a") as archive:
        archive.writestr("notes.md", "an unrelated file")
    assert house.run("run", "--until-idle").returncode == 0
    run = house.newest()
    assert run["state"] == "skipped"
    assert second["id"] in run["reason"]
    kinds = {file["path"]: file["kind"] for file in run["files"]}
    assert kinds["notes.md"] == "not_a_scan"


@pytest.mark.slow
def test_a_model_that_forgot_is_held_and_can_be_released(house: House) -> None:
    """A reckless Stage 2 is held with its reason, exit 1; a person's release publishes it."""
    house.drop("third.zip", _files(SAMPLES, "checkov-results", "bandit-results"), "third")
    reckless = {
        "SECDAEMON_STAGE2__LEARNING_RATE": "0.001",
        "SECDAEMON_RETENTION__HEAL": "false",
    }
    assert house.run("run", "--until-idle", **reckless).returncode == 1
    run = house.newest()
    assert run["state"] == "held"
    assert not run["retention"]["passed"]
    assert run["published"] is None
    assert "threshold" in run["reason"]
    assert house.run("release", run["id"]).returncode == 0
    assert house.run("run", "--until-idle", **reckless).returncode == 0
    assert house.newest()["state"] == "published"


@pytest.mark.slow
def test_process_sees_one_folder_through_and_publishes_nothing(
    house: House, tmp_path: Path
) -> None:
    """`process --skip-model-upload` ends retained, with copies of its data where asked."""
    artifacts = tmp_path / "artifacts"
    shutil.copytree(SAMPLES / "semgrep-results", artifacts)
    (artifacts / "own.sarif").write_text(_sarif("own"))
    done = house.run(
        "process",
        "--artifacts-dir",
        str(artifacts),
        "--output-dir",
        str(tmp_path / "out"),
        "--skip-model-upload",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["state"] == "retained"
    assert run["published"] is None
    assert run["stage1"]["reused"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "findings.jsonl",
        "run.json",
        "test.jsonl",
        "train.jsonl",
        "valid.jsonl",
    }
    assert house.run("run", "--until-idle").returncode == 0
    assert house.status(run["id"])["state"] == "retained"


@pytest.mark.slow
def test_a_training_that_diverges_is_held(house: House) -> None:
    """Numbers that are not finite end the run held, with a sentence, and nothing is published."""
    house.drop("fourth.zip", _files(SAMPLES, "zizmor-results", "bandit-results"), "fourth")
    wild = {"SECDAEMON_STAGE2__LEARNING_RATE": "1e30"}
    assert house.run("run", "--until-idle", **wild).returncode == 1
    run = house.newest()
    assert run["state"] == "held"
    assert "diverged" in run["reason"]
    assert run["published"] is None


@pytest.fixture
def pack() -> Callable[[Path, Path], None]:
    """Return a packer that zips each folder by itself and then together, as GitHub does."""

    def make(source: Path, target: Path) -> None:
        work = target.with_suffix(".parts")
        work.mkdir()
        with zipfile.ZipFile(target, "w") as outer:
            for folder in sorted(source.iterdir()):
                inner = work / f"{folder.name}.zip"
                with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
                    for member, path in _files(folder).items():
                        archive.write(path, member)
                outer.write(inner, inner.name)

    return make


@pytest.mark.corpus
@pytest.mark.slow
def test_a_real_ci_run_goes_all_the_way(tmp_path: Path, pack: Callable[[Path, Path], None]) -> None:
    """webauthn-392, zipped as GitHub zips it: the counts a person gets, and a published adapter."""
    if not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not there")
    house = House(tmp_path / "home")
    pack(CORPUS, tmp_path / "392.zip")
    (tmp_path / "392.zip").rename(house.root / "inbox" / "392.zip")
    done = house.run("run", "--until-idle")
    assert done.returncode == 0, done.stderr
    run = house.newest()
    assert run["state"] == "published"
    assert run["findings"] == {
        "in": 447,
        "kept": 190,
        "duplicate": 257,
        "suppressed": 0,
        "rejected": 0,
    }
    assert sum(file["kind"] == "not_a_scan" for file in run["files"]) == 4
