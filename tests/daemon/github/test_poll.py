"""One poll after the other, against GitHub on the loopback."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from github_server import REPOSITORY_ID, Artifact, Fault, Run, zip_of

from secdaemon.config.settings import ConfigError, load_settings
from secdaemon.daemon.jobs import settle
from secdaemon.state.machine import State
from secdaemon.state.store import Store

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"


def test_the_first_poll_takes_the_latest_run_alone(scene: Scene, scan: Scan) -> None:
    """The older ones are recorded as ignored, and one request says that nothing is new."""
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in range(1, 6)))
    found = scene.poll()
    assert found.ok
    assert [(t.workflow_run_id, t.run_attempt) for t in found.taken] == [(5, 1)]
    assert [i.workflow_run_id for i in found.ignored] == [4, 3, 2, 1]
    assert all("backfill: 1" in item.reason for item in found.ignored)
    (run,) = scene.runs()
    assert run.name == "owner/repo#5.1"
    assert run.url == "https://github.com/owner/repo/actions/runs/5"
    assert (run.kind, run.repository, run.workflow_run_id, run.run_attempt) == (
        "github",
        NAME,
        5,
        1,
    )
    assert (run.branch, run.workflow, run.actor) == (
        "main",
        ".github/workflows/main-ci-cd.yml",
        "octocat",
    )
    scene.github.requests()
    again = scene.poll(300)
    assert [seen.status for seen in scene.github.requests()] == [304]
    assert (again.ok, again.taken, again.problem) == (True, (), None)
    assert scene.watch().remaining == 4999


def test_backfill_takes_more_in_the_order_of_time(scene: Scene, scan: Scan) -> None:
    """Oldest first, so that the newest is the newest run here as well."""
    scene.change(watched={"backfill": 3})
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in range(1, 6)))
    scene.poll()
    assert scene.taken() == [(3, 1), (4, 1), (5, 1)]


def test_a_runs_artifacts_form_one_archive(scene: Scene, scan: Scan) -> None:
    """Each is a member, as it came; what is not asked for stays there; the bytes are the same."""
    artifacts = [scan(12, "ZAP report/1"), scan(11, "trivy"), scan(13, "coverage")]
    scene.github.add(NAME, Run(1, artifacts=artifacts))
    scene.poll()
    (run,) = scene.runs()
    with zipfile.ZipFile(run.archive) as archive:
        assert archive.namelist() == ["ZAP_report_1-12.zip", "trivy-11.zip"]
        assert archive.read("trivy-11.zip") == artifacts[1].content
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert Path(run.archive).stat().st_size == run.size
    assert list(scene.home.archive.glob(".download*")) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conclusion": "failure"}, "did not succeed"),
        ({"conclusion": "cancelled"}, "did not succeed"),
        ({"event": "pull_request_target"}, "pull_request_target"),
        ({"branch": "feature"}, "another branch"),
        ({"branch": None}, "another branch"),
        ({"path": ".github/workflows/other.yml"}, "another workflow"),
        ({"head": 77}, "fork"),
        ({"head": None}, "deleted fork"),
        ({"status": "in_progress"}, "not completed yet"),
    ],
)
def test_who_is_not_trusted_is_ignored_with_its_reason(
    scene: Scene, scan: Scan, changes: dict[str, Any], reason: str
) -> None:
    """The trusted run before it is taken, and it is not."""
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    scene.github.add(NAME, Run(2, second=2, artifacts=[scan(2)], **changes))
    found = scene.poll()
    assert scene.taken() == [(1, 1)]
    assert [item.workflow_run_id for item in found.ignored] == [2]
    assert reason in found.ignored[0].reason


def test_a_rerun_is_a_new_artifact_with_its_own_files(scene: Scene, scan: Scan) -> None:
    """The list of a run has the artifacts of all its attempts; the newest of a name counts."""
    run = Run(1, second=1, artifacts=[scan(1)])
    scene.github.add(NAME, run)
    scene.poll()
    run.attempt, run.started = 2, 500
    run.artifacts.append(scan(2, created=530))
    found = scene.poll(300)
    assert scene.taken() == [(1, 1), (1, 2)]
    assert found.taken[0].run_attempt == 2
    with zipfile.ZipFile(scene.runs()[1].archive) as archive:
        assert archive.namelist() == ["trivy-results-2.zip"]


def test_an_old_run_that_runs_again_on_a_later_page_is_found(scene: Scene, scan: Scan) -> None:
    """It keeps its place in the list, so that the first page does not change."""
    scene.github.per_page = 2
    scene.change(watched={"backfill": 6})
    runs = [Run(n, second=n, artifacts=[scan(n)]) for n in range(1, 7)]
    scene.github.add(NAME, *runs)
    scene.poll()
    runs[0].attempt, runs[0].started = 2, 900
    runs[0].artifacts = [scan(50, created=930)]
    scene.poll(300)
    assert scene.taken()[-1] == (1, 2)
    assert len(scene.taken()) == 7


def test_an_unfinished_run_is_taken_when_it_has_succeeded(scene: Scene, scan: Scan) -> None:
    """Also where newer ones were taken meanwhile and it has left the first page."""
    scene.github.per_page = 2
    slow = Run(1, second=1, status="in_progress", artifacts=[scan(1)])
    scene.github.add(NAME, slow, Run(2, second=2, artifacts=[scan(2)]))
    scene.poll()
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in (3, 4, 5)))
    scene.poll(300)
    slow.status = "completed"
    scene.poll(300)
    assert scene.taken() == [(2, 1), (3, 1), (4, 1), (5, 1), (1, 1)]


def test_new_runs_are_read_page_by_page_to_the_last_known(scene: Scene, scan: Scan) -> None:
    """Thirty pages of new runs are taken in once each, in the order of time."""
    scene.github.per_page = 2
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    scene.poll()
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in range(2, 62)))
    assert len(scene.poll(300).taken) == 60
    assert scene.taken() == [(n, 1) for n in range(1, 62)]


def test_a_listing_that_breaks_off_is_begun_again(scene: Scene, scan: Scan) -> None:
    """Nothing of the first pages is remembered before the last of them was read."""
    scene.github.per_page = 2
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    scene.poll()
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in range(2, 9)))
    scene.github.fault = lambda _host, path: (
        Fault(502) if path.startswith("/repositories") else None
    )
    assert "HTTP 502" in scene.poll(300).problem
    scene.github.fault = lambda _host, _path: None
    scene.poll(300)
    assert scene.taken() == [(n, 1) for n in range(1, 9)]


def test_expired_artifacts_are_recorded_and_not_asked_for_again(scene: Scene, scan: Scan) -> None:
    """Whether the list says so or the download answers 410."""
    scene.change(watched={"backfill": 2})
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1, expired=True)]))
    scene.github.add(NAME, Run(2, second=2, artifacts=[scan(2)]))
    gone = Fault(410, body='{"message": "Artifact has expired"}')
    scene.github.fault = lambda _host, path: gone if path.endswith("/2/zip") else None
    found = scene.poll()
    assert found.ok
    assert {item.reason for item in found.ignored} == {"its artifacts have expired on GitHub"}
    scene.github.requests()
    scene.poll(300)
    assert len(scene.github.requests()) == 1
    assert scene.runs() == []


def test_a_run_without_a_wanted_artifact_says_what_it_has(scene: Scene, scan: Scan) -> None:
    """The sentence names the setting and what there was."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1, "coverage")]))
    found = scene.poll()
    assert "github.repositories[].artifacts: coverage" in found.ignored[0].reason


def test_changed_patterns_make_the_latest_run_wanted_again(scene: Scene, scan: Scan) -> None:
    """What was ignored under other settings is judged anew, what was taken is not taken again."""
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    scene.github.add(NAME, Run(2, second=2, artifacts=[scan(2, "coverage")]))
    scene.poll()
    scene.poll(300)
    scene.change(watched={"artifacts": ("coverage",)})
    scene.poll(300)
    scene.poll(300)
    assert scene.taken() == [(2, 1)]


def test_a_truncated_download_goes_on_where_it_broke_off(scene: Scene, scan: Scan) -> None:
    """The second request asks for the rest, and no request to the blob host has the token."""
    content = scan(1)
    scene.github.add(NAME, Run(1, artifacts=[content]))
    left = [Fault(how="truncate")]
    scene.github.fault = lambda host, _path: left.pop() if host == "blob" and left else None
    assert scene.poll().ok
    asked = scene.github.requests("blob")
    assert [seen.status for seen in asked] == [200, 206]
    assert asked[1].headers["range"] == f"bytes={len(content.content) // 2}-"
    assert not any("authorization" in seen.headers for seen in asked)


def test_a_server_without_ranges_is_asked_for_all_of_it_again(scene: Scene, scan: Scan) -> None:
    """The bytes that came before are thrown away."""
    scene.github.no_ranges = True
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    left = [Fault(how="truncate"), Fault(how="truncate")]
    scene.github.fault = lambda host, _path: left.pop() if host == "blob" and left else None
    assert scene.poll().ok
    assert scene.taken() == [(1, 1)]


@pytest.mark.parametrize("artifact", [{"digest": "sha256:" + "0" * 64}, {"digest": None}])
def test_damaged_artifacts_are_never_handed_over(
    scene: Scene, scan: Scan, artifact: dict[str, Any]
) -> None:
    """They are tried again, later each time, and given up in the end; others pass them."""
    bad = scan(1, **artifact)
    bad.content = b"<html>log in</html>" if bad.digest is None else bad.content
    scene.change(watched={"backfill": 2})
    scene.github.add(NAME, Run(1, second=1, artifacts=[bad]), Run(2, second=2, artifacts=[scan(2)]))
    found = scene.poll()
    assert not found.ok
    assert "is damaged" in found.problem
    assert scene.taken() == [(2, 1)]
    for _ in range(9):
        found = scene.poll(300)
    assert found.ok
    assert "given up after 10 tries" in found.ignored[0].reason
    scene.github.requests()
    scene.poll(300)
    assert len(scene.github.requests()) == 1


def test_a_huge_artifact_is_refused_by_what_it_says_and_by_what_comes(
    scene: Scene, scan: Scan
) -> None:
    """One says its size and is not even asked for; the other lies, and is cut off."""
    scene.change(max_download_bytes=1000, watched={"backfill": 2})
    honest, liar = scan(1), scan(2)
    liar.content += b"x" * 100_000
    liar.size, liar.digest = 10, None
    scene.github.add(NAME, Run(1, second=1, artifacts=[honest]), Run(2, second=2, artifacts=[liar]))
    found = scene.poll()
    assert [item.workflow_run_id for item in found.ignored] == [2, 1]
    assert all("github.max_download_bytes (1000)" in item.reason for item in found.ignored)
    assert [seen.path for seen in scene.github.requests("blob")] == ["/2"]


def test_a_renamed_repository_is_polled_on_and_said(scene: Scene, scan: Scan) -> None:
    """GitHub redirects the old name; the sentence says what to set, also when nothing is new."""
    scene.github.add("owner/new", Run(1, artifacts=[scan(1)]))
    scene.github.names["owner/new"] = "owner/new"
    scene.github.moved[NAME] = "owner/new"
    for _ in range(2):
        found = scene.poll(300)
        assert found.ok
        assert found.problem == (
            "owner/repo is called owner/new now; set github.repositories[].name to that"
        )
    assert scene.taken() == [(1, 1)]


def test_another_repository_under_the_old_name_is_not_believed(scene: Scene, scan: Scan) -> None:
    """Whoever takes a name that was given up takes its watchers with it, but not here."""
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    scene.poll()
    scene.github.numbers[NAME] = 2000
    scene.github.repositories[NAME] = [Run(9, second=900, artifacts=[scan(9)], head=2000)]
    scene.poll(300)
    found = scene.poll(300)
    assert scene.taken() == [(1, 1)]
    assert "another repository now (number 2000, it was 1000)" in found.problem
    scene.change(watched={"id": 2000})
    scene.poll(300)
    assert scene.taken() == [(1, 1), (9, 1)]


def test_a_deleted_repository_is_said_in_words(scene: Scene) -> None:
    """404 has three reasons, and the sentence names them."""
    del scene.github.repositories[NAME]
    found = scene.poll()
    assert not found.ok
    assert "deleted or renamed" in found.problem


def test_a_run_deleted_before_it_is_taken(scene: Scene, scan: Scan) -> None:
    """It is recorded, and the poll is well."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    fault = Fault(404, body='{"message": "Not Found"}')
    scene.github.fault = lambda _host, path: fault if path.endswith("/artifacts") else None
    found = scene.poll()
    assert found.ok
    assert found.ignored[0].reason == "it was deleted on GitHub"


def test_a_zip_that_leads_outside_is_rejected_by_unpacking(scene: Scene) -> None:
    """It is taken in like any other; the reading refuses it (see the tests of unpacking)."""
    evil = Artifact(1, "trivy", zip_of({"../../evil.sarif": "{}"}))
    scene.github.add(NAME, Run(1, artifacts=[evil]))
    assert scene.poll().ok
    assert scene.taken() == [(1, 1)]


def test_two_watches_of_one_repository(scene: Scene, scan: Scan) -> None:
    """Each workflow is a watch of its own, and neither takes the other's runs."""
    other = msgspec.structs.replace(scene.watched, workflow="nightly.yml")
    scene.change(repositories=(scene.watched, other))
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]))
    nightly = ".github/workflows/nightly.yml@refs/heads/main"
    scene.github.add(NAME, Run(2, second=2, artifacts=[scan(2)], path=nightly))
    scene.poll()
    assert sorted(scene.taken()) == [(1, 1), (2, 1)]


def test_the_number_of_the_repository_is_that_of_the_server(scene: Scene, scan: Scan) -> None:
    """What the server says is remembered from the first poll on."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.poll()
    assert scene.watch().repository_id == REPOSITORY_ID


@pytest.mark.parametrize("name", ["owner/repo", "Owner/REPO"])
def test_one_watch_twice_is_a_wrong_setting(scene: Scene, name: str) -> None:
    """Names differ by more than case; the sentence says what to do."""
    text = scene.home.config_file.read_text(encoding="utf-8")
    text = text.replace("{name: owner/repo}", f"{{name: owner/repo}}, {{name: {name}}}")
    scene.home.config_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"twice with workflow main-ci-cd\.yml"):
        load_settings(scene.home, environ={})


def test_a_rejected_artifact_is_set_aside_under_a_zips_name(
    scene: Scene, scan: Scan, store: Store
) -> None:
    """Its run's name, of which a slash is no part of a file's."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.poll()
    (run,) = scene.runs()
    rejected = msgspec.structs.replace(
        run, state=State.REJECTED, reason="no scan", run_dir=str(scene.home.root / "none")
    )
    settle(store, scene.home, rejected)
    names = sorted(path.name for path in scene.home.rejected.iterdir())
    assert names == ["repo#1.1.zip", "repo#1.1.zip.reason.txt"]
