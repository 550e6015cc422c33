"""The cards: front matter that the Hub reads, numbers from the manifest, foreign text inert."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account.cards import DATA_FILES, dataset_card, model_card
from secdaemon.pipeline.account.manifest import Manifest, build_manifest
from secdaemon.pipeline.account.markdown import plain
from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.interface import Job, Outputs

SAMPLE = msgspec.json.decode(Path(__file__).with_name("sample_run.json").read_bytes())
HOSTILE = "a|b<script>alert(1)</script>[x](https://evil.example)\x1b[31m`*_<|im_start|>\nnext @you"


def sample_manifest(outputs: Any = None, **environ: str) -> Manifest:
    """Return the sample's manifest, of other outputs or under settings that are changed."""
    home = Home(Path("/Users/someone/secdaemon"), chosen=True)
    settings = load_settings(home, environ={"SECDAEMON_MODELS__BASE": "embedded:tiny", **environ})
    places = {"run_dir": "x", "stage1_dir": "x", "archive": "x.zip", "lock_file": "x"}
    job = msgspec.convert({**SAMPLE["job"], **places, "settings": settings}, Job)
    return build_manifest(job, msgspec.convert(outputs or SAMPLE["outputs"], Outputs), libraries={})


def front_matter(card: str) -> Any:
    """Return the front matter of a card as YAML reads it."""
    start, text, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(text)


def test_the_model_card_says_what_the_hub_needs() -> None:
    """Base model, relation, library, licence and tags stand in the front matter."""
    found = front_matter(model_card(sample_manifest()))
    assert found["base_model"] == "secdaemon/embedded-tiny"
    assert found["base_model_relation"] == "adapter"
    assert found["library_name"] == "peft"
    assert found["pipeline_tag"] == "text-generation"
    assert found["license"] == "apache-2.0"
    assert "lora" in found["tags"]
    assert found["datasets"] == ["hitoshura25/crossvul", "hitoshura25/cvefixes"]


def test_the_hubs_own_client_reads_the_model_index() -> None:
    """huggingface_hub parses the card, with every metric of the adapter in it."""
    from huggingface_hub import ModelCard

    card = ModelCard(model_card(sample_manifest()))
    values = {(r.dataset_type, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert values["stage1_test", "loss"] == 1.2302
    assert values["stage2_test", "loss"] == 0.9815
    assert values["stage2_test", "exact_match"] == 0.125
    assert len(values) == 8


def test_what_was_not_measured_is_left_out_of_the_index() -> None:
    """A null metric is no entry, and no metric at all no index."""
    manifest = sample_manifest()
    metrics = msgspec.json.decode(msgspec.json.encode(manifest.metrics))
    for split in metrics.values():
        split["stage2"] = None
    unmeasured = msgspec.structs.replace(
        manifest, metrics=msgspec.convert(metrics, type(manifest.metrics)), retention=None, gates=()
    )
    card = model_card(unmeasured)
    assert "model-index" not in front_matter(card)
    assert "not measured" in card


def test_a_healed_model_has_its_own_numbers_in_the_card() -> None:
    """The table has both, the index the final model's, and what was tried stands there."""
    outputs = msgspec.json.decode(msgspec.json.encode(SAMPLE["outputs"]))
    judged = outputs["retention"]
    other = {**judged["stage1_test"], "loss": 1.3131}
    attempt = {
        "kind": "trained",
        "training": 0,
        "t": 1.0,
        "replay_ratio": 0.15,
        "learning_rate": 4e-6,
        "retention": 0.412,
        "improvement": 0.7,
        "passed": False,
        "chosen": False,
        "detail": "",
    }
    walk = {"kind": "walk", "t": 0.4375, "retention": 0.931, "passed": True, "chosen": True}
    judged |= {
        "healing": [attempt, {**attempt, **walk}],
        "remedy": "healed: moved back",
        "healed": {"stage1_test": other, "stage2_test": other},
        "champion": {"run": "r", "stage1_test": other, "stage2_test": other},
    }
    card = model_card(sample_manifest(outputs=outputs))
    assert "| Stage 2 as trained | This adapter | Published before |" in card
    assert "| 1.812 | 1.201 | 1.230 | 1.313 | 1.313 |" in card
    results = front_matter(card)["model-index"][0]["results"]
    assert results[0]["metrics"][0]["value"] == 1.3131
    assert "Healed: moved back." in card
    assert "| Stage 2 as trained | 15% | 4e-06 | 0.412 | 0.700 | not passed |" in card
    assert "0.438 of the way from Stage 1 to the training" in card
    assert "passed, this adapter" in card


def test_an_unknown_base_gets_no_licence_of_ours() -> None:
    """A base model that nothing is known of leaves the licence open."""
    environ = {"SECDAEMON_MODELS__BASE": "x", "SECDAEMON_MODELS__BASE_ID": "acme/secret-base"}
    found = front_matter(model_card(sample_manifest(**environ)))
    assert found["license"] == "other"
    assert found["license_name"]


def test_sources_that_are_no_hub_ids_are_not_linked() -> None:
    """Embedded pairs and files of the user are no data sets of the Hub."""
    environ = {"SECDAEMON_STAGE1__SOURCES": "[embedded, /data/private.jsonl]"}
    assert "datasets" not in front_matter(model_card(sample_manifest(**environ)))


def test_the_model_card_tells_the_numbers() -> None:
    """All three models on both splits, retention with its interval, and where it came from."""
    card = model_card(sample_manifest())
    assert "| Loss (nats per assistant token) | 1.812 | 1.201 | 1.230 |" in card
    assert "| Loss (nats per assistant token) | 2.032 | 1.647 | 0.982 |" in card
    assert "0.952 (95 % interval 0.912 to 0.987)" in card
    assert SAMPLE["job"]["origin"]["sha256"] in card
    assert SAMPLE["job"]["origin"]["head_sha"] in card
    assert "c0ffee254729296a45a3885639ac7e10 (reused)" in card
    assert 'adapter_path="mlx"' in card
    assert "demonstrates the pipeline" in card


def test_an_undefined_retention_is_told_as_such() -> None:
    """Where retention has no value, none is made up."""
    manifest = sample_manifest()
    assert manifest.retention is not None
    unknown = msgspec.structs.replace(manifest.retention, value=None, ci_low=None, ci_high=None)
    assert "**Undefined**" in model_card(msgspec.structs.replace(manifest, retention=unknown))


def test_the_dataset_card_names_its_splits() -> None:
    """Front matter maps each split to its file, and the table counts it."""
    card = dataset_card(sample_manifest())
    found = front_matter(card)
    files = found["configs"][0]["data_files"]
    assert {entry["split"]: entry["path"] for entry in files} == DATA_FILES
    assert found["size_categories"] == ["n<1K"]
    assert "| train | `train.jsonl` | 117 |" in card
    assert "147 conversations" in card


@pytest.mark.parametrize("make", [model_card, dataset_card])
def test_foreign_text_is_inert(make: Any) -> None:
    """Markup, links, escapes, role markers and new lines in names are text and nothing more."""
    manifest = sample_manifest()
    artifact = msgspec.structs.replace(manifest.artifact, name=HOSTILE)
    hostile = msgspec.structs.replace(
        manifest,
        artifact=artifact,
        findings_by_tool={HOSTILE: 151},
        examples_by_category={HOSTILE: 147},
        base_model_id=f'acme/x"\n---\nlicense: mit\n{HOSTILE}',
    )
    card = make(hostile)
    found = front_matter(card)
    assert found["license"] == "other"
    body = card.split("---\n", 2)[2]
    prose = re.sub(r"```python.*?```", "", body, flags=re.DOTALL)
    assert "<script" not in prose
    assert not re.search(r"(?<!\\)\]\(", prose)
    assert "://" not in prose
    assert "\x1b" not in card
    assert "<|im_start|>" not in prose
    for line in prose.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


@pytest.mark.parametrize("make", [model_card, dataset_card])
def test_the_publish_step_finds_nothing_to_hide_in_it(make: Any) -> None:
    """No hash, id or escape in a card looks like a secret to the redactor."""
    card = make(sample_manifest())
    assert redact(card) == card


@pytest.mark.parametrize("make", [model_card, dataset_card])
def test_tables_are_rectangular(make: Any) -> None:
    """Each row of a table has as many cells as its head, whatever its text holds."""
    manifest = sample_manifest()
    card = make(msgspec.structs.replace(manifest, examples_by_category={"a|b": 1, "c\\|d": 2}))
    widths: list[int] = []
    for line in card.splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)))
        assert widths[-1] == widths[0], line


@given(st.text())
def test_plain_text_cannot_act(text: str) -> None:
    """Whatever the text, it stays on its line and opens no markup."""
    shown = plain(text)
    assert "\n" not in shown
    assert "<" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|]", shown)
