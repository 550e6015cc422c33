"""`finetune`, `validate`, `export` and `publish` as a person uses them, on the embedded model."""

import codecs
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, serving

from secdaemon.config.paths import Home

pytestmark = pytest.mark.slow

Done = subprocess.CompletedProcess[str]
Cli = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
TOKEN = "hf_" + "Loopback" * 4


def rows(count: int) -> list[dict[str, Any]]:
    """Return instruction and response rows that differ."""
    return [
        {"instruction": f"What is wrong with line {n}?", "response": f"Line {n} trusts its input."}
        for n in range(count)
    ]


def chats(count: int) -> list[dict[str, Any]]:
    """Return the same as messages."""
    return [
        {
            "messages": [
                {"role": "system", "content": "You are a security analyst."},
                {"role": "user", "content": row["instruction"]},
                {"role": "assistant", "content": row["response"]},
            ]
        }
        for row in rows(count)
    ]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    """Write rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def tuned(home: Home, name: str = "mine") -> Path:
    """Return where a training of this name lies."""
    return home.root / "models" / "fine-tuned" / name


def content(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a file of rows to train on."""
    return write(tmp_path / "data" / "train.jsonl", rows(12))


@pytest.fixture
def adapter(cli: Cli, home: Home, data: Path) -> Path:
    """Return the folder of an adapter that `finetune` trained."""
    done = cli("finetune", "--dataset", data, "--output-name", "mine", "--iterations", "6")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tuned(home) / "adapters")
    return tuned(home)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Yield a Hub on loopback."""
    made = Hub(TOKEN)
    with serving(made):
        yield made


def failed(done: Done, *words: str) -> None:
    """Check that the work itself failed: status 1, one line on stderr that says what to do."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr + done.stdout


def test_a_training_is_done_once_and_keeps_a_tenth_aside(
    cli: Cli, home: Home, data: Path, adapter: Path
) -> None:
    """The adapter and its loss curve are there; the same command again answers at once."""
    assert {path.name for path in (adapter / "adapters").iterdir()} == {
        "adapters.safetensors",
        "adapter_config.json",
    }
    summary = json.loads((adapter / "summary.json").read_text())["summary"]
    assert summary["iterations"] == 6
    assert summary["examples"] == 11
    assert summary["best_iteration"], "nothing was validated"
    times = {path: path.stat().st_mtime_ns for path in adapter.rglob("*")}
    again = cli("finetune", "--dataset", data, "--output-name", "mine", "--iterations", "6")
    assert (again.returncode, again.stdout) == (0, f"{adapter / 'adapters'}\n")
    assert {path: path.stat().st_mtime_ns for path in adapter.rglob("*")} == times


def test_messages_and_a_valid_file_beside_them(cli: Cli, home: Home, tmp_path: Path) -> None:
    """Chat rows are learnt as they are, all of them; the rate and the start can be given."""
    data = write(tmp_path / "data" / "chats.jsonl", chats(8))
    data.write_bytes(codecs.BOM_UTF8 + data.read_bytes())
    write(tmp_path / "data" / "valid.jsonl", chats(3))
    first = cli("finetune", "--dataset", data, "--output-name", "one", "--iterations", "3")
    assert first.returncode == 0, first.stderr
    summary = json.loads((tuned(home, "one") / "summary.json").read_text())["summary"]
    assert summary["examples"] == 8
    command = ("finetune", "--dataset", data, "--output-name", "two", "--iterations", "3")
    # A run's folder, an adapter's and a published one are all taken for what they are.
    more = cli(*command, "--learning-rate", "1e-3", "--resume-adapter", tuned(home, "one"))
    assert more.returncode == 0, more.stderr
    after = json.loads((tuned(home, "two") / "summary.json").read_text())["summary"]
    assert after["first_loss"] < summary["first_loss"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 3"),
        ("[1]", "line 3"),
        ('{"instruction": "no answer"}', "line 3"),
        ('{"messages": []}', "line 3"),
        ('{"messages": [{"role": "user", "content": "and?"}]}', "line 3"),
        ('{"messages": [{"role": "judge", "content": "x"}]}', "line 3"),
    ],
)
def test_a_bad_row_is_named_with_its_line(
    cli: Cli, home: Home, data: Path, line: str, words: str
) -> None:
    """Nothing is trained on a file with a row that is no conversation."""
    good = data.read_text().splitlines()
    data.write_text("\n".join([*good[:2], line, *good[2:]]))
    failed(cli("finetune", "--dataset", data, "--output-name", "mine"), str(data), words)
    assert not tuned(home).exists()


def test_an_empty_file_and_a_foreign_adapter_are_refused(
    cli: Cli, data: Path, adapter: Path, tmp_path: Path
) -> None:
    """Each in one sentence."""
    empty = write(tmp_path / "empty.jsonl", [])
    failed(cli("finetune", "--dataset", empty, "--output-name", "x"), "no row to learn from")
    (adapter / "adapters" / "adapters.safetensors").write_bytes(b"torn")
    command = ("finetune", "--dataset", data, "--output-name", "x", "--iterations", "2")
    failed(cli(*command, "--resume-adapter", adapter), "adapter")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_goes_on_to_the_same_bytes(  # noqa: PLR0917 - fixtures
    start: Start,
    cli: Cli,
    home: Home,
    data: Path,
    wait_until: Callable[..., None],
    number: signal.Signals,
) -> None:
    """Stopped in the middle: 130, no adapter; the same command ends with the unbroken one's."""
    command = ("finetune", "--dataset", data, "--iterations", "150", "--output-name")
    process = start(*command, "broken")
    checkpoints = tuned(home, "broken") / "checkpoints"
    wait_until(lambda: len(list(checkpoints.glob("[0-9]*"))) > 0)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "goes on" in error
    assert not (tuned(home, "broken") / "adapters").exists()
    for name in ("broken", "whole"):
        done = cli(*command, name)
        assert done.returncode == 0, done.stderr
    summary = json.loads((tuned(home, "broken") / "summary.json").read_text())["summary"]
    assert 0 < summary["resumed_at"] < 150
    assert content(tuned(home, "broken") / "adapters") == content(tuned(home, "whole") / "adapters")


def test_what_can_be_validated(cli: Cli, home: Home, adapter: Path, tmp_path: Path) -> None:
    """An adapter, a published folder, a whole model: each is checked as what it is."""
    assert cli("publish", adapter).returncode == 0
    published = home.root / "published" / "mine"
    base = home.root / "models" / "base" / "embedded-tiny"
    for path in (adapter, adapter / "adapters", published, published / "model", base):
        done = cli("validate", path)
        assert done.returncode == 0, (path, done.stdout)
        assert all(line.startswith("ok ") for line in done.stdout.splitlines())
        assert "generates" in done.stdout


def test_what_is_broken_does_not_validate(cli: Cli, home: Home, adapter: Path) -> None:
    """Torn, missing, not finite, empty: status 1, and the check that failed is named."""
    weights = adapter / "adapters" / "adapters.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    failed(cli("validate", adapter), "FAIL  finite")
    head = 8 + int.from_bytes(whole[:8], "little")
    weights.write_bytes(whole[:head] + b"\xff" * (len(whole) - head))
    failed(cli("validate", adapter), "FAIL  finite", "not finite")
    weights.write_bytes(whole[:head] + bytes(len(whole) - head))
    failed(cli("validate", adapter), "FAIL  finite")
    weights.write_bytes(whole)
    config = adapter / "adapters" / "adapter_config.json"
    config.write_text('{"any": 1}')
    failed(cli("validate", adapter), "FAIL  generates")
    weights.unlink()
    failed(cli("validate", adapter), "FAIL  complete", "adapters.safetensors")
    base = home.root / "models" / "base" / "embedded-tiny"
    model = adapter.parent / "whole"
    shutil.copytree(base, model)
    (model / "model.safetensors").write_bytes(b"torn")
    failed(cli("validate", model), "FAIL  generates")
    (model / "config.json").write_text("{")
    failed(cli("validate", model), "FAIL  complete", "config.json")
    model.joinpath("empty").mkdir()
    failed(cli("validate", model / "empty"), "FAIL  complete")


def test_an_adapter_is_exported_for_peft(cli: Cli, adapter: Path, tmp_path: Path) -> None:
    """Both files of PEFT's form, named after the unquantised original; a full folder is refused."""
    out = tmp_path / "out"
    done = cli("export", adapter, "--format", "peft", "--output", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert {path.name for path in out.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
    }
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"]) == ("LORA", 8)
    assert config["base_model_name_or_path"] == "secdaemon/embedded-tiny"
    checked = cli("validate", out)
    assert checked.returncode == 0, checked.stdout
    assert "generates" in checked.stdout
    failed(cli("publish", out), "is a PEFT adapter already")
    before = content(out)
    again = cli("export", adapter, "--format", "peft", "--output", out)
    assert again.returncode == 2
    assert "--output" in again.stderr
    assert content(out) == before
    (adapter / "adapters" / "adapters.safetensors").write_bytes(b"torn")
    failed(cli("export", adapter, "--format", "peft", "--output", tmp_path / "x"), "adapter")


def test_an_adapter_is_published_to_the_folder(cli: Cli, home: Home, adapter: Path) -> None:
    """Both forms with a card, the same bytes again, nothing of this computer, no broken one."""
    done = cli("publish", adapter)
    model = home.root / "published" / "mine" / "model"
    assert (done.returncode, done.stdout) == (0, f"{model}\n")
    placed = content(model)
    assert set(placed) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "mlx/adapter_config.json",
        "mlx/adapters.safetensors",
    }
    assert not any(str(home.root).encode() in data for data in placed.values())
    (adapter / "adapters" / "0000005_adapters.safetensors").write_bytes(b"older")
    (adapter / "adapters" / "notes.txt").write_text("mine")
    assert cli("publish", adapter).returncode == 0
    assert content(model) == placed
    base = home.root / "models" / "base" / "embedded-tiny"
    failed(cli("publish", base), "only adapters are published")
    (adapter / "adapters" / "adapters.safetensors").write_bytes(b"torn")
    failed(cli("publish", adapter), "nothing was published")
    assert content(model) == placed
    assert not (model.parent / "dataset").exists()
    assert not list(tuned(home).parent.glob(".publishing-*"))


def test_an_adapter_is_published_to_the_hub(cli: Cli, home: Home, data: Path, hub: Hub) -> None:
    """Trained and uploaded in one command; `publish` again makes no second commit."""
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "SECDAEMON_PUBLISH__TARGET": "huggingface"}
    command = ("finetune", "--dataset", data, "--output-name", "mine", "--iterations", "4")
    done = cli(*command, "--upload", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tuned(home) / "adapters"), f"{hub.url}/tester/mine"]
    repository = hub.repository("models", "tester/mine")
    assert {"README.md", "adapter_model.safetensors", "mlx/adapters.safetensors"} < set(
        repository.head.tree
    )
    assert repository.private
    commits = len(repository.commits)
    again = cli("publish", tuned(home), env=env)
    assert (again.returncode, again.stdout) == (0, f"{hub.url}/tester/mine\n")
    assert len(repository.commits) == commits
    refused = cli("publish", tuned(home), env=env | {"HF_TOKEN": "hf_" + "wrong" * 7})
    failed(refused, "token")
    assert TOKEN not in done.stdout + done.stderr + again.stderr + refused.stderr
