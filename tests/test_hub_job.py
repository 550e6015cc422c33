"""The main job to the Hub: a zip in, both repositories on a loopback Hub, read back by the clients."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hub_server import Hub, serving

pytestmark = pytest.mark.slow

SETTINGS = """\
inbox: {stable_seconds: 0.2}
models: {base: "embedded:tiny"}
training: {max_seq_length: 1024}
stage1: {sources: [embedded], iterations: 12}
stage2: {iterations: 8}
evaluation: {max_examples: 16, generate_examples: 1, max_tokens: 8, bootstrap_samples: 500}
publish: {target: huggingface, prefix: tester, merged: true}
"""
SAMPLES = Path(__file__).parents[1] / "pipeline" / "embedded" / "sample_scans"
MODEL = "tester/webauthn-security-sequential"
DATASET = "tester/webauthn-security-vulnerabilities-olmo"
READER = """
import json, sys
import datasets
from huggingface_hub import snapshot_download
from mlx_lm import generate, load
base, place = sys.argv[1:]
model = snapshot_download("{model}", local_dir=place)
splits = datasets.load_dataset("{dataset}")
said = []
for loaded in (load(base, adapter_path=model + "/mlx"), load(model + "/merged")):
    said.append(generate(*loaded, prompt="What", max_tokens=8))
print(json.dumps([{name: len(rows) for name, rows in splits.items()}, said]))
"""


def test_a_zip_ends_in_both_repositories(tmp_path: Path) -> None:
    """Published once, with tags; load_dataset has the splits; mlx-lm loads both forms alike."""
    home, hub = tmp_path / "home", Hub("hf_" + "Loopback" * 4)
    (home / "inbox").mkdir(parents=True)
    (home / "config.yaml").write_text(SETTINGS)
    with zipfile.ZipFile(home / "inbox" / "scans.zip", "w") as archive:
        for path in sorted(SAMPLES.rglob("*.*")):
            archive.write(path, path.relative_to(SAMPLES).as_posix())
    with serving(hub) as url:
        environ = {
            **{key: os.environ[key] for key in ("PATH", "LD_PRELOAD") if key in os.environ},
            "HOME": str(tmp_path / "user"),
            "HF_ENDPOINT": url,
            "HF_TOKEN": hub.token,
        }
        command = [sys.executable, "-m", "secdaemon.daemon", "--home", str(home)]
        done = subprocess.run(
            [*command, "run", "--until-idle"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        shown = subprocess.run(
            [*command, "status", "--json"], env=environ, capture_output=True, check=True
        )
        (run,) = json.loads(shown.stdout)["runs"]
        code = READER.replace("{model}", MODEL).replace("{dataset}", DATASET)
        base = home / "models" / "base" / "embedded-tiny"
        read = subprocess.run(
            [sys.executable, "-c", code, str(base), str(tmp_path / "read")],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode == 0, read.stderr
    model, data = hub.repository("models", MODEL), hub.repository("datasets", DATASET)
    assert run["state"] == "published"
    assert run["published"] == {
        "target": "huggingface",
        "model_url": f"{url}/{MODEL}",
        "dataset_url": f"{url}/datasets/{DATASET}",
        "revision": model.head.oid,
    }
    for repository in (model, data):
        assert [commit.title for commit in repository.commits[1:]] == [f"secdaemon run {run['id']}"]
        assert repository.tags == {run["id"]: repository.head.oid}
    counts, said = json.loads(read.stdout.splitlines()[-1])
    assert counts == {name: run["examples"][name] for name in ("train", "validation", "test")}
    assert said[0] == said[1]
    everything = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in everything if hub.token.encode() in path.read_bytes()]
