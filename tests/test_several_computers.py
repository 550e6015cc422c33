"""The main job with its training on several computers, here two processes on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SETTINGS = """\
models: {base: "embedded:tiny"}
training: {max_seq_length: 640, checkpoint_every: 4, batch_size: 2, hostfile: hosts.json}
stage1: {sources: [embedded], iterations: 8, max_examples: 40}
stage2: {iterations: 6, method: [replay, ewc]}
evaluation: {max_examples: 8, generate_examples: 1, max_tokens: 8, bootstrap_samples: 200}
retention: {threshold: 0.0, bound: point, when_undefined: pass, heal: false}
gates: {improvement: false}
publish: {target: folder}
"""
TWO = [{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}] * 2
SAMPLES = Path(__file__).parents[1] / "pipeline" / "embedded" / "sample_scans"
SECONDS = 500


@pytest.mark.slow
def test_both_stages_train_on_two_computers(tmp_path: Path) -> None:
    """`process` goes all the way, and its log tells of the processes that trained."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text(SETTINGS, encoding="utf-8")
    (home / "hosts.json").write_text(json.dumps(TWO))
    kept = {key: os.environ[key] for key in ("PATH", "LD_PRELOAD") if key in os.environ}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "secdaemon.daemon", "--home", str(home), "process"),
            *("--artifacts-dir", str(SAMPLES), "--skip-model-upload", "--json"),
        ],
        env=kept | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run: Any = json.loads(done.stdout)
    assert run["state"] == "retained"
    for stage in ("stage1", "stage2"):
        summary = json.loads((Path(run["run_dir"]) / stage / "summary.json").read_text())
        assert summary["summary"]["iterations"] > 0
    log = (home / "logs" / f"{run['id']}.log").read_text()
    assert log.count("2 computers") == 2, log
