"""Publishing to the Hub: once, complete, and only what is ours."""

import itertools
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hub_server import Blob, Fault, Hub

from secdaemon.pipeline.interface import (
    EndRun,
    Job,
    PermanentError,
    Progress,
    StopRequested,
    TransientError,
)
from secdaemon.pipeline.publish import run
from secdaemon.pipeline.publishing import hub as publishing

MODEL = "tester/webauthn-security-sequential"
DATASET = "tester/webauthn-security-vulnerabilities-olmo"


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def way_to(hub: Hub, waits: list[float] | None = None) -> publishing.Hub:
    """Return a way to the loopback Hub that waits for nothing."""
    sleep = [].append if waits is None else waits.append
    return publishing.Hub(hub.token, unheard, 100, sleep=sleep)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a regular file, one for LFS, and our mark."""
    place = tmp_path / "folder"
    (place / "mlx").mkdir(parents=True)
    (place / "README.md").write_text("---\nlicense: other\n---\n# hello\n")
    (place / "run-manifest.json").write_text("{}")
    (place / "mlx" / "adapters.safetensors").write_bytes(b"\x08" + bytes(range(256)))
    return place


def content(hub: Hub, kind: str, name: str) -> dict[str, bytes]:
    """Return what a repository holds on main."""
    tree = hub.repository(kind, name).head.tree
    return {path: blob.data for path, blob in tree.items() if path != ".gitattributes"}


def on_disk(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_goes_to_both_repositories(hub: Hub, make_job: Callable[..., Job]) -> None:
    """Each gets one private commit and the run's tag, and the cards name each other's revision."""
    done = run(make_job(), unheard)
    model, data = hub.repository("models", MODEL), hub.repository("datasets", DATASET)
    assert [len(repository.commits) for repository in (model, data)] == [2, 2]
    assert model.tags == {"20261122_074201": model.head.oid}
    assert data.tags == {"20261122_074201": data.head.oid}
    assert model.private
    assert data.private
    assert done.target == "huggingface"
    assert (done.model_url, done.revision) == (f"{hub.url}/{MODEL}", model.head.oid)
    assert data.head.oid in model.head.tree["README.md"].data.decode()
    assert "20261122\\_074201" in (card := data.head.tree["README.md"].data.decode()) or (
        "20261122_074201" in card
    )
    assert {"adapter_model.safetensors", "mlx/adapters.safetensors", "report.html"} < set(
        model.head.tree
    )


def test_publishing_twice_makes_no_second_commit(hub: Hub, make_job: Callable[..., Job]) -> None:
    """The second time only looks."""
    job = make_job()
    first = run(job, unheard)
    before = len(hub.log)
    assert run(job, unheard) == first
    assert not [line for line in hub.log[before:] if "commit" in line or line.startswith("PUT")]


def test_the_clients_read_back_what_was_sent(
    hub: Hub, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    """snapshot_download gives the same bytes, by tag and by commit."""
    from huggingface_hub import snapshot_download

    done = run(make_job(), unheard)
    for kind, name, revision in (
        ("model", MODEL, done.revision),
        ("dataset", DATASET, "20261122_074201"),
    ):
        found = snapshot_download(
            name,
            repo_type=kind,
            revision=revision,
            endpoint=hub.url,
            token=hub.token,
            local_dir=tmp_path / kind,
            cache_dir=tmp_path / "cache",
        )
        read = {
            path: data
            for path, data in on_disk(Path(found)).items()
            if not path.startswith((".cache", ".gitattributes"))
        }
        assert read == content(hub, f"{kind}s", name)


def test_no_authorization_header_goes_to_the_object_store(
    hub: Hub, make_job: Callable[..., Job]
) -> None:
    """The token is sent to the Hub and nowhere else."""
    run(make_job(), unheard)
    headers = dict(zip(hub.log, hub.seen_headers, strict=True))
    puts = [seen for line, seen in headers.items() if line.startswith("PUT /lfs/")]
    assert puts
    assert not any("Authorization" in seen or "authorization" in seen for seen in puts)


def test_a_repository_of_somebody_else_is_left_alone(
    hub: Hub, make_job: Callable[..., Job]
) -> None:
    """Nothing is written to a repository that secdaemon did not write."""
    way_to(hub).ensure(publishing.Repository("model", MODEL), private=True)
    model = hub.repository("models", MODEL)
    model.commit("mine", {**model.head.tree, "thesis.md": Blob(b"# mine", lfs=False)})
    with pytest.raises(PermanentError, match="not written by secdaemon"):
        run(make_job(), unheard)
    assert "thesis.md" in model.head.tree
    assert len(hub.repository("datasets", DATASET).commits) == 1


def test_the_next_run_replaces_the_files_of_the_one_before(hub: Hub, folder: Path) -> None:
    """Main holds exactly the newest run; the older one stays under its tag."""
    way, repository = way_to(hub), publishing.Repository("model", MODEL)
    way.ensure(repository, private=True)
    (folder / "old.json").write_text("{}")
    first = way.put(repository, folder, "one")
    (folder / "old.json").unlink()
    (folder / "README.md").write_text("---\nlicense: other\n---\n# changed\n")
    way.put(repository, folder, "two")
    assert content(hub, "models", MODEL) == on_disk(folder)
    assert hub.repository("models", MODEL).tags["one"] == first.revision


def test_a_tag_that_means_something_else_is_not_moved(hub: Hub, folder: Path) -> None:
    """Two runs of one name are refused rather than mixed up."""
    way, repository = way_to(hub), publishing.Repository("model", MODEL)
    way.ensure(repository, private=True)
    way.put(repository, folder, "one")
    (folder / "README.md").write_text("---\nlicense: other\n---\n# another\n")
    with pytest.raises(PermanentError, match="other files already"):
        way.put(repository, folder, "one")


@pytest.mark.parametrize("where", ["/commit/", "/tag/", "/refs", "/tree/", "validate-yaml"])
@pytest.mark.parametrize("kind", ["lost", "cut", "status"])
def test_a_fault_leaves_one_commit_and_one_tag(
    hub: Hub, folder: Path, where: str, kind: str
) -> None:
    """An answer that is lost, a cut connection and a 500 are each overcome, and nothing doubles."""
    way, repository = way_to(hub), publishing.Repository("model", MODEL)
    way.ensure(repository, private=True)
    hits = itertools.count()
    hub.plan = lambda _m, path, _n: Fault(kind) if where in path and next(hits) == 0 else None
    way.put(repository, folder, "one")
    there = hub.repository("models", MODEL)
    assert next(hits) > 0
    assert [commit.title for commit in there.commits[1:]] == ["secdaemon run one"]
    assert there.tags == {"one": there.head.oid}
    assert content(hub, "models", MODEL) == on_disk(folder)


def test_patience_is_bounded(hub: Hub, folder: Path) -> None:
    """A Hub that asks for an hour is waited for five times a minute at most, then left for later."""
    waits: list[float] = []
    way, repository = way_to(hub, waits), publishing.Repository("model", MODEL)
    way.ensure(repository, private=True)
    hub.plan = lambda _m, path, _n: (
        Fault("status", 429, {"Retry-After": "3600"}) if "/commit/" in path else None
    )
    with pytest.raises(TransientError, match="429"):
        way.put(repository, folder, "one")
    assert sum(waits) == 4 * 60
    assert len(hub.repository("models", MODEL).commits) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(401, "does not know the token"), (403, "Write access")]
)
def test_a_refusal_is_final_and_says_what_to_do(
    hub: Hub, folder: Path, status: int, words: str
) -> None:
    """A wrong token or a missing permission is not tried again."""
    way, repository = way_to(hub), publishing.Repository("model", MODEL)
    way.ensure(repository, private=True)
    hub.plan = lambda _m, path, _n: Fault("status", status) if "/commit/" in path else None
    with pytest.raises(PermanentError, match=words):
        way.put(repository, folder, "one")
    assert sum("/commit/" in line for line in hub.log) == 1


def test_no_token_is_said_with_the_cure(
    hub: Hub, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a token nothing is asked of the Hub."""
    monkeypatch.delenv("HF_TOKEN")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(PermanentError, match="keyring set secdaemon huggingface"):
        run(make_job(), unheard)
    assert not [line for line in hub.log if "agent-harnesses" not in line]


def test_a_stop_between_two_requests_is_heard(hub: Hub, make_job: Callable[..., Job]) -> None:
    """The step stops at a report, and the next call finishes what was begun."""
    job = make_job()
    calls = itertools.count()

    def stop_at_seventh(_: Progress) -> None:
        if next(calls) == 7:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        run(job, stop_at_seventh)
    run(job, unheard)
    assert len(hub.repository("models", MODEL).commits) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_random_faults_and_stops(
    hub: Hub, make_job: Callable[..., Job], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults and stops at random, ten a seed: one commit, one tag, nothing torn."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    job, dice = make_job(), random.Random(seed)
    hub.plan = lambda *_: (
        Fault(dice.choice(("lost", "cut", "status")), dice.choice((500, 502, 503, 429)))
        if dice.random() < 0.25
        else None
    )

    def stops(_: Progress) -> None:
        if dice.random() < 0.05:
            msg = "asked to stop"
            raise StopRequested(msg)

    for _ in range(10):
        try:
            run(job, stops)
        except (StopRequested, TransientError):
            continue
    hub.plan = lambda *_: None
    run(job, unheard)
    for kind, name in (("models", MODEL), ("datasets", DATASET)):
        there = hub.repository(kind, name)
        assert len(there.commits) == 2
        assert there.tags == {job.run_id: there.head.oid}


@pytest.mark.slow
def test_a_worker_killed_between_any_two_requests(hub: Hub, make_job: Callable[..., Job]) -> None:
    """SIGKILL as a request arrives, at ten of them: the next worker ends with one commit each."""
    job = make_job()
    workers: list[subprocess.Popen[bytes]] = []

    def publish(kill_at: int | None) -> bytes:
        seen = itertools.count()

        def plan(_method: str, path: str, _number: int) -> None:
            if "agent-harnesses" not in path and next(seen) == kill_at:
                workers[-1].kill()

        hub.plan = plan
        command = [sys.executable, "-m", "secdaemon.pipeline", "publish"]
        workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        stdin = workers[-1].stdin
        assert stdin is not None
        stdin.write(msgspec.json.encode(job) + b"\n")
        stdin.flush()
        assert workers[-1].stdout is not None
        out = b"".join(line for line in workers[-1].stdout if b"beat" not in line)
        stdin.close()
        workers[-1].wait()
        return out

    for kill_at in (0, 2, 4, 7, 9, 10, 11, 8, 6, 10):
        publish(kill_at)
    last = publish(None).splitlines()[-1]
    assert b'"done"' in last, last
    for kind, name in (("models", MODEL), ("datasets", DATASET)):
        there = hub.repository(kind, name)
        assert [commit.title for commit in there.commits[1:]] == [f"secdaemon run {job.run_id}"]
        assert there.tags == {job.run_id: there.head.oid}
    assert sum(worker.returncode == -9 for worker in workers) >= 5


@pytest.mark.parametrize(
    "where", ["dataset/train.jsonl", "run-manifest.json", "final-model/note.md"]
)
def test_a_planted_secret_never_leaves(hub: Hub, make_job: Callable[..., Job], where: str) -> None:
    """A secret in the data, in the manifest or in a stray file holds the run before any request."""
    job = make_job()
    secret = "ghp_" + "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fGhJkL"
    path = Path(job.run_dir) / where
    if path.suffix == ".jsonl":
        row = '{"id":"x","messages":[],"group":"g","metadata":{"code":"' + secret + '"}}\n'
        path.write_text(row)
    elif path.suffix == ".json":
        final = Path(job.run_dir) / "final-model" / path.name
        text = final.read_text().replace("acme/passkeys#", f"{secret}#")
        final.unlink()
        final.write_text(text)
    else:
        path.write_text(f"token {secret}\n")
    with pytest.raises(EndRun, match="looks like a secret") as caught:
        run(job, unheard)
    assert secret not in str(caught.value)
    assert not [line for line in hub.log if "agent-harnesses" not in line]
