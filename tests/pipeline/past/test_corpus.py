"""The corpus: what stays valid, what is gone, what its going taught, from run to run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.jobs import make_job
from secdaemon.pipeline.examples import Example, Splits, conversation, fingerprint
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.interface import BuildOutput, EndRun, ExampleCounts, Job, StepOutput
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past import corpus as corpus_module
from secdaemon.pipeline.past.corpus import LOST, Accumulated, earlier_entries, merge
from secdaemon.pipeline.past.known_findings import CHANGED, SUPPRESSED, Entry
from secdaemon.pipeline.steps import parse
from secdaemon.state.machine import Cause, State, Step
from secdaemon.state.model import Run
from secdaemon.state.runs import Move, get_run, move
from secdaemon.state.store import Store

MakeZip = Callable[..., Path]


def semgrep(*found: tuple[str, int, str], ignored: bool = False) -> dict[str, Any]:
    """Return Semgrep's JSON: (rule, line, code) of app.py."""
    results = [
        {
            "check_id": rule,
            "path": "app.py",
            "start": {"line": line, "col": 1},
            "end": {"line": line, "col": 9},
            "extra": {
                "message": f"{rule} is unsafe",
                "severity": "ERROR",
                "lines": code,
                "is_ignored": ignored,
            },
        }
        for rule, line, code in found
    ]
    return {"results": results, "errors": [], "version": "1.0"}


def trivy(*found: str, image: str | None = None) -> dict[str, Any]:
    """Return Trivy's JSON of a lock file, or of an image: CVEs of one package each."""
    vulnerabilities = [
        {
            "VulnerabilityID": cve,
            "PkgName": f"door-{number}",
            "InstalledVersion": "1.0.0",
            "FixedVersion": "1.0.1",
            "Severity": "HIGH",
        }
        for number, cve in enumerate(found)
    ]
    kind = "container_image" if image else "filesystem"
    result = {
        "Target": image or "package-lock.json",
        "Class": "os-pkgs" if image else "lang-pkgs",
        "Type": "debian" if image else "npm",
        "Vulnerabilities": vulnerabilities,
    }
    return {
        "SchemaVersion": 2,
        "ArtifactName": image or ".",
        "ArtifactType": kind,
        "Results": [result],
    }


def zap() -> dict[str, Any]:
    """Return ZAP's JSON with one alert."""
    alert = {
        "pluginid": "10038",
        "alert": "CSP not set",
        "riskcode": "2",
        "cweid": "693",
        "instances": [{"uri": "http://localhost/login", "method": "GET"}],
    }
    return {"@version": "2.15.0", "site": [{"@name": "http://localhost", "alerts": [alert]}]}


def own_example(finding: Finding, said: str = "own") -> Example:
    """Return a small example of a finding, as the run that reports it makes it."""
    return Example(
        id=f"finding-{finding.id}",
        messages=conversation(f"{finding.rule}: what is it?", f"It is {said}."),
        group=finding.rule,
        metadata={"finding": finding.id, "category": "code"},
    )


def learned_example(finding: Finding, fix: Fix) -> Example:
    """Return a small example of a learned fix."""
    example = own_example(finding, fix.reason)
    return msgspec.structs.replace(
        example, metadata={**example.metadata, "approach": fix.approach, "after": fix.after}
    )


class Story:
    """The runs of a project, one after the other, through the real store, parser and job."""

    def __init__(self, home: Home, settings: Settings, store: Store, make_zip: MakeZip) -> None:
        self.home, self.settings, self.store, self._make_zip = home, settings, store, make_zip
        self._runs = 0
        self.source: Path | None = None

    def take(self, scans: dict[str, Any], **about: Any) -> Run:
        """Take an artifact in; `about` is what GitHub says of it."""
        self._runs += 1
        texts = {name: json.dumps(value) for name, value in scans.items()}
        path = self._make_zip(self.home.root / f"{self._runs}.zip", {**texts, "n": str(self._runs)})
        source = str(self.source) if self.source else None
        offer = Offer(path=path, kind="manual", remove=True, again=True, source_dir=source)
        run = accept(self.store, self.home, self.settings, offer, 1_000.0 + self._runs).run
        with self.store.transaction() as db:
            db.execute("UPDATE runs SET project = 'shop' WHERE id = ?", (run,))
            for name, value in about.items():
                db.execute(f"UPDATE runs SET {name} = ? WHERE id = ?", (value, run))
        return get_run(self.store, run)

    def parse(self, run: Run) -> Run:
        """Let a run be parsed, or skipped where it has no findings."""
        self._move(run, State.UNPACKED, Step.UNPACK)
        run = get_run(self.store, run.id)
        job = make_job(self.store, self.home, self.settings, run, "light", 2_000.0)
        try:
            self._move(run, State.PARSED, Step.PARSE, parse(job, lambda _: None))
        except EndRun as ended:
            self._move(get_run(self.store, run.id), State.SKIPPED, Step.PARSE, ended.output)
        return get_run(self.store, run.id)

    def _move(
        self, run: Run, target: State, cause: Step | Cause, output: StepOutput | None = None
    ) -> None:
        text = msgspec.json.encode(output).decode() if output else None
        assert move(self.store, run, Move(target=target, cause=cause, detail="", output=text), 1.0)

    def job(self, run: Run) -> Job:
        """Return the job that builds a run's data."""
        return make_job(
            self.store, self.home, self.settings, get_run(self.store, run.id), "light", 3.0
        )

    def build(self, run: Run) -> Accumulated:
        """Build a parsed run's data."""
        done = merged(self.job(run))
        count = ExampleCounts(train=len(done.examples), validation=0, test=0)
        output = BuildOutput(examples=count, fingerprint="f", by_category={}, left_out={})
        self._move(get_run(self.store, run.id), State.DATASET_BUILT, Step.BUILD_DATASET, output)
        return done

    def supersede(self, run: Run) -> None:
        """End a run before it built anything."""
        self._move(run, State.SUPERSEDED, Cause.SUPERSEDE)

    def run(self, scans: dict[str, Any], **about: Any) -> Accumulated:
        """Take an artifact in, and see it through to its data."""
        return self.build(self.parse(self.take(scans, **about)))


def merged(job: Job) -> Accumulated:
    """Merge what a job's run found."""
    folder = RunFolder(Path(job.run_dir))
    decoder = msgspec.json.Decoder(Finding)
    kept, suppressed = (
        decoder.decode_lines(path.read_bytes()) for path in (folder.findings, folder.suppressed)
    )
    examples = [own_example(finding) for finding in kept]
    return merge(
        job, kept, suppressed, examples, learned_example, lambda f: (own_example(f, "plain"),)
    )


@pytest.fixture
def story(home: Home, settings: Settings, store: Store, make_zip: MakeZip) -> Story:
    """Return a project without any run."""
    return Story(home, settings, store, make_zip)


def rules(done: Accumulated) -> list[str]:
    """Return the rules of what is learned from, in order."""
    return [example.group for example in done.examples]


ONE, TWO = ("one", 2, "eval(one)"), ("two", 5, "eval(two)")


def test_a_finding_stays_until_its_own_scan_is_silent(story: Story) -> None:
    """Another tool's artifact says nothing of it; an empty scan by its tool does."""
    assert rules(
        story.run({"semgrep.json": semgrep(ONE, TWO), "trivy.json": trivy("CVE-2024-1")})
    ) == [
        *("one", "two", "CVE-2024-1"),
    ]
    only_zap = story.run({"zap.json": zap()})
    assert sorted(rules(only_zap)) == ["10038", "CVE-2024-1", "one", "two"]
    assert rules(only_zap)[0] == "10038"
    assert only_zap.left_out == {}
    fewer = story.run({"semgrep.json": semgrep(TWO)})
    assert sorted(rules(fewer)) == ["10038", "CVE-2024-1", "two"]
    assert fewer.left_out == {
        "earlier findings that are gone, fix not learned: there is no checkout": 1
    }
    empty = story.run({"zap.json": zap(), "semgrep.json": semgrep(), "trivy.json": trivy()})
    assert rules(empty) == ["10038"]
    assert sum(empty.left_out.values()) == 2


def test_the_files_name_and_the_image_tell_scans_apart(story: Story) -> None:
    """Two scans by Trivy are two kinds of target; a number in a name and an image's tag do not count."""
    first = {
        "trivy-fs-17.json": trivy("CVE-2024-1"),
        "trivy-image-17.json": trivy("CVE-2024-2", image="acme/door:17"),
    }
    story.run(first)
    files = story.run({"trivy-fs-18.json": trivy("CVE-2024-3")})
    assert sorted(rules(files)) == ["CVE-2024-2", "CVE-2024-3"]
    image = story.run({"trivy-image-19.json": trivy("CVE-2024-4", image="acme/door:19")})
    assert sorted(rules(image)) == ["CVE-2024-3", "CVE-2024-4"]
    other = story.run({"by-hand.json": trivy("CVE-2024-5", image="acme/window:1")})
    assert sorted(rules(other)) == ["CVE-2024-3", "CVE-2024-4", "CVE-2024-5"]


def test_what_is_suppressed_or_moved_is_neither_kept_nor_fixed(story: Story) -> None:
    """A nosemgrep ends a finding without a fix; one without code has another id on another line."""
    story.run({"semgrep.json": semgrep(ONE, TWO)})
    silenced = story.run({"semgrep.json": semgrep(TWO, ONE, ignored=True), "zap.json": zap()})
    assert silenced.left_out == {SUPPRESSED: 2}
    story.run({"semgrep.json": semgrep(("three", 2, "eval(x)")), "zap.json": zap()})
    moved = story.run({"semgrep.json": semgrep(("three", 3, "eval( x, y )"))})
    assert rules(moved) == ["three", "10038"]
    assert moved.left_out == {CHANGED: 1}


def test_examples_of_earlier_runs_are_as_they_were_built(story: Story) -> None:
    """Nothing is done twice, and their metadata say which artifact they are from."""
    first = story.run({"semgrep.json": semgrep(ONE)})
    second = story.run({"zap.json": zap()})
    assert second.examples[1] == first.examples[0]
    third = story.run({"zap.json": zap()})
    assert fingerprint(Splits(third.examples, (), ())) == fingerprint(
        Splits(second.examples, (), ())
    )


def test_a_run_that_ended_early_keeps_its_findings(story: Story) -> None:
    """A superseded one, and one whose scans were all silent: their findings count, and their silence."""
    story.run({"semgrep.json": semgrep(ONE), "trivy.json": trivy("CVE-2024-1")})
    superseded = story.parse(story.take({"semgrep.json": semgrep(TWO), "zap.json": zap()}))
    story.supersede(superseded)
    assert story.parse(story.take({"trivy.json": trivy()})).state is State.SKIPPED
    done = story.run({"semgrep.json": semgrep(TWO)})
    assert rules(done) == ["two", "10038"]
    assert done.examples[1].messages[-1].content == "It is plain."
    assert done.examples[1].metadata["source_artifact"] == superseded.sha256
    again = story.run({"semgrep.json": semgrep(TWO)})
    assert again.examples[1] == done.examples[1]


def test_only_the_last_corpus_is_read(story: Story) -> None:
    """The work does not grow with the number of runs; other projects have no part in it."""
    for number in range(4):
        story.run({"semgrep.json": semgrep((f"r{number}", 2, f"eval({number})"), TWO)})
    other = story.parse(story.take({"semgrep.json": semgrep(ONE)}, project="other"))
    assert story.job(other).earlier == ()
    waiting = story.parse(story.take({"zap.json": zap()}))
    job = story.job(story.parse(story.take({"trivy.json": trivy("CVE-2024-1")})))
    assert len(job.earlier) == 2
    assert [bool(earlier.files) for earlier in job.earlier] == [False, True]
    assert job.earlier[-1].seen.run == waiting.id
    assert sorted(rules(merged(job))) == ["10038", "CVE-2024-1", "r3", "two"]


def test_a_late_artifact_takes_nothing_back(story: Story) -> None:
    """One whose download took long neither revives what a newer scan misses nor ends what it has."""
    late = story.take(
        {"semgrep.json": semgrep(ONE), "zap.json": zap()}, ran_at="2026-01-01T00:00:00Z"
    )
    story.run({"semgrep.json": semgrep(TWO)}, ran_at="2026-01-02T00:00:00Z")
    story.supersede(story.parse(late))
    done = story.run({"trivy.json": trivy("CVE-2024-1")}, ran_at="2026-01-03T00:00:00Z")
    assert sorted(rules(done)) == ["10038", "CVE-2024-1", "two"]


def test_a_folder_that_is_gone_costs_its_examples_and_no_more(story: Story) -> None:
    """An older corpus takes its place; what nobody has any more is counted."""
    story.run({"semgrep.json": semgrep(ONE)})
    lost = story.parse(story.take({"semgrep.json": semgrep(ONE, TWO)}))
    story.build(lost)
    shutil.rmtree(str(get_run(story.store, lost.id).run_dir))
    done = story.run({"zap.json": zap()})
    assert rules(done) == ["10038", "one"]
    assert done.left_out == {LOST: 1}
    damaged = story.parse(story.take({"semgrep.json": semgrep(ONE)}))
    job = story.job(damaged)
    RunFolder(Path(job.earlier[0].run_dir)).corpus.write_text("{no json\n")
    assert merged(job).left_out == {LOST: 1}


def test_a_run_may_learn_from_its_own_findings_alone(story: Story) -> None:
    """`stage2.corpus: run` changes what is learned from and not what is remembered."""
    story.run({"semgrep.json": semgrep(ONE)})
    alone = msgspec.structs.replace(story.settings.stage2, corpus="run")
    everything, story.settings = (
        story.settings,
        msgspec.structs.replace(story.settings, stage2=alone),
    )
    done = story.run({"zap.json": zap()})
    assert (rules(done), done.left_out) == (["10038"], {})
    story.settings = everything
    assert sorted(rules(story.run({"trivy.json": trivy("CVE-2024-1")}))) == [
        *("10038", "CVE-2024-1", "one"),
    ]


def test_the_oldest_findings_make_room(story: Story, tmp_path: Path) -> None:
    """Beyond the limit what was seen longest ago goes first, and is counted; the run's own stay."""
    run = story.parse(story.take({"semgrep.json": semgrep(ONE)}))
    story.build(run)
    path = RunFolder(Path(str(get_run(story.store, run.id).run_dir))).corpus
    (entry,) = earlier_entries(path.parent)
    many = [
        msgspec.structs.replace(
            entry,
            finding=msgspec.structs.replace(entry.finding, id=f"{number:032x}", rule=f"r{number}"),
            seen=msgspec.structs.replace(entry.seen, at=f"2020-01-{1 + number % 2:02}"),
            examples=(),
        )
        for number in range(corpus_module.MAX_VALID + 3)
    ]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in many))
    done = story.run({"zap.json": zap()})
    assert done.left_out == {corpus_module.OVER_LIMIT: 3}
    newest = story.store.read("SELECT run_dir FROM runs ORDER BY seq DESC LIMIT 1")[0]["run_dir"]
    kept = {found.finding.id for found in earlier_entries(Path(newest))}
    assert len(kept) == corpus_module.MAX_VALID + 1
    assert {f"{number:032x}" for number in (0, 2, 4)} & kept == set()


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def commit(tmp_path: Path, story: Story) -> Callable[..., str]:
    """Return a committer to the story's checkout: (text of app.py) to the commit's name."""
    folder = story.source = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")

    def make(text: str) -> str:
        (folder / "app.py").write_text(text, encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "a change")
        return git(folder, "rev-parse", "HEAD")

    return make


BEFORE = "import ast\n\n\ndef one(text):\n    return eval(text)\n\n\ndef two(text):\n    return eval(text + ' ')\n"
AFTER = BEFORE.replace("    return eval(text)\n", "    return ast.literal_eval(text)\n")
FIRST, SECOND = ("one", 5, "    return eval(text)"), ("two", 9, "    return eval(text + ' ')")


def test_what_developers_fixed_is_learned_for_good(
    story: Story, commit: Callable[..., str]
) -> None:
    """Once the scan is silent its advice goes and their fix comes, and stays as it was made."""
    story.run({"semgrep.json": semgrep(FIRST, SECOND)}, head_sha=commit(BEFORE))
    fixed = commit(AFTER)
    done = story.run({"semgrep.json": semgrep(SECOND)}, head_sha=fixed)
    assert rules(done) == ["two", "one"]
    (learned,) = (example for example in done.examples if example.id.startswith("learned-"))
    assert learned.metadata["approach"] == "history"
    assert learned.metadata["after"] == AFTER
    assert f"`{fixed[:10]}`" in learned.messages[-1].content
    assert done.left_out == {}
    later = story.run({"zap.json": zap()}, head_sha=commit("pass\n"))
    assert learned in later.examples
    back = story.run({"semgrep.json": semgrep(FIRST)}, head_sha=commit(BEFORE))
    assert {learned.id, f"finding-{learned.metadata['finding']}"} <= {e.id for e in back.examples}


def test_a_file_with_a_leak_in_it_teaches_nothing(story: Story, commit: Callable[..., str]) -> None:
    """Its text as it was would show what only that scan knew to be a secret."""
    leak = {
        "RuleID": "door-phrase",
        "Description": "A phrase",
        "StartLine": 5,
        "EndLine": 5,
        "Match": "eval(text)",
        "Secret": "speak-friend",
        "File": "app.py",
    }
    scans = {"semgrep.json": semgrep(FIRST), "leaks.json": [leak]}
    story.run(scans, head_sha=commit(BEFORE))
    story.run({"semgrep.json": semgrep(FIRST), "leaks.json": []}, head_sha=commit("# a\n" + BEFORE))
    done = story.run({"semgrep.json": semgrep(SECOND)}, head_sha=commit(AFTER))
    assert rules(done) == ["two"]
    assert done.left_out == {
        "earlier findings that are gone, fix not learned: a secret was found in its file": 1
    }


def test_killed_at_any_write_the_corpus_is_the_same(
    story: Story, commit: Callable[..., str]
) -> None:
    """Before the corpus has its name there is none; after it, the same bytes are written again."""
    story.run({"semgrep.json": semgrep(FIRST, SECOND)}, head_sha=commit(BEFORE))
    run = story.parse(story.take({"semgrep.json": semgrep(SECOND)}, head_sha=commit(AFTER)))
    job = story.job(run)
    path = RunFolder(Path(job.run_dir)).corpus
    seen = set()
    for point in range(40):
        child = os.fork()
        if child == 0:
            left = point

            def strike(event: str, _: object) -> None:
                nonlocal left
                if event in {"open", "os.rename", "tempfile.mkstemp", "os.chmod"}:
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(strike)
            merged(job)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        seen.add(path.read_bytes() if path.exists() else b"")
        if not os.WIFSIGNALED(status):
            break
    assert os.WEXITSTATUS(status) == 0
    expected = merged(job)
    assert seen == {b"", path.read_bytes()}
    assert merged(job) == expected
    assert not list(path.parent.glob(".corpus*"))
    later = story.parse(story.take({"zap.json": zap()}))
    assert [earlier.seen.run for earlier in story.job(later).earlier] == [run.id]
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line)["type"] for line in lines] == ["scan", "finding", "finding"]
    assert all(isinstance(entry, Entry) for entry in earlier_entries(path.parent))
