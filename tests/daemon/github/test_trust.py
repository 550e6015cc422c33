"""Who is believed: pure functions, and a property that no untrusted run gets past."""

import msgspec
import pytest
from github_server import GitHub, Run, at
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.schema import Repository
from secdaemon.daemon.github.answers import (
    ActionsArtifact,
    FormError,
    RepositoryRef,
    WorkflowRun,
    artifacts_of,
    run_of,
    runs_of,
)
from secdaemon.daemon.github.trust import TRUSTED, Kind, chosen, judge, workflow_path

WATCHED = Repository(name="owner/repo")
HOME = RepositoryRef(1, "owner/repo")
GOOD = WorkflowRun(
    id=1,
    status="completed",
    conclusion="success",
    event="push",
    path=".github/workflows/main-ci-cd.yml",
    head_branch="main",
    repository=HOME,
    head_repository=HOME,
)


def with_(**changes: object) -> WorkflowRun:
    """Return the good run with changes."""
    return msgspec.structs.replace(GOOD, **changes)


def test_a_good_run_is_trusted() -> None:
    """The one that every other case differs from in one thing."""
    assert judge(GOOD, WATCHED) == TRUSTED
    assert judge(GOOD, WATCHED, 1) == TRUSTED


@pytest.mark.parametrize("name", sorted(WorkflowRun.__struct_fields__))
def test_what_is_missing_speaks_against_a_run(name: str) -> None:
    """Null, where it decides anything, is a no."""
    decisive = {"status", "conclusion", "event", "path", "head_branch", "repository"}
    if name in {*decisive, "head_repository"}:
        assert judge(with_(**{name: None}), WATCHED) != TRUSTED


@pytest.mark.parametrize(
    "head", [RepositoryRef(), RepositoryRef(2), RepositoryRef(None, "owner/repo")]
)
def test_only_the_repositorys_own_code_counts(head: RepositoryRef) -> None:
    """By its number: a name can be given to another."""
    verdict = judge(with_(head_repository=head), WATCHED)
    assert verdict.kind is Kind.IGNORED


def test_the_known_number_decides() -> None:
    """Not what the answer says of itself."""
    assert judge(GOOD, WATCHED, 2).kind is Kind.IGNORED


@pytest.mark.parametrize(
    ("configured", "path"),
    [
        ("main-ci-cd.yml", ".github/workflows/main-ci-cd.yml"),
        (".github/workflows/main-ci-cd.yml", ".github/workflows/main-ci-cd.yml"),
        ("/.github/workflows/main-ci-cd.yml", ".github/workflows/main-ci-cd.yml"),
        ("main-ci-cd.yml", ".github/workflows/main-ci-cd.yml@refs/heads/main"),
        ("main-ci-cd.yml", "Owner/Repo/.github/workflows/main-ci-cd.yml@main"),
    ],
)
def test_a_workflow_by_name_or_path(configured: str, path: str) -> None:
    """GitHub writes it with a ref, and with the repository before it, as it likes."""
    watched = msgspec.structs.replace(WATCHED, workflow=configured)
    assert judge(with_(path=path), watched) == TRUSTED


@pytest.mark.parametrize(
    "path",
    [
        "main-ci-cd.yml",
        ".github/workflows/main-ci-cd.yml.bak",
        ".github/workflows/MAIN-CI-CD.yml",
        "other/repo/.github/workflows/main-ci-cd.yml@main",
        "dynamic/github-code-scanning/codeql",
        "",
    ],
)
def test_another_workflow_is_none(path: str) -> None:
    """Also one that only looks like it."""
    assert judge(with_(path=path), WATCHED).kind is Kind.IGNORED


def test_a_stranger_is_ignored_before_it_has_ended() -> None:
    """What can never become right is not looked at again."""
    assert judge(with_(status="queued", head_repository=None), WATCHED).kind is Kind.IGNORED
    assert judge(with_(status="queued", conclusion=None), WATCHED).kind is Kind.NOT_YET


_WORDS = st.none() | st.sampled_from(
    ["completed", "success", "push", "main", ".github/workflows/main-ci-cd.yml"]
)
_REFS = st.none() | st.builds(
    RepositoryRef, st.none() | st.integers(1, 2), st.none() | st.just("owner/repo")
)


@given(
    st.builds(
        WorkflowRun,
        id=st.integers(),
        status=_WORDS,
        conclusion=_WORDS,
        event=_WORDS,
        path=_WORDS,
        head_branch=_WORDS,
        repository=_REFS,
        head_repository=_REFS,
    )
)
def test_all_must_hold_at_once(run: WorkflowRun) -> None:
    """Trusted means every one of the six."""
    good = (
        run.status == "completed"
        and run.conclusion == "success"
        and run.event == "push"
        and run.path == ".github/workflows/main-ci-cd.yml"
        and run.head_branch == "main"
        and run.repository is not None
        and run.head_repository is not None
        and run.repository.id is not None
        and run.repository.id == run.head_repository.id
    )
    assert (judge(run, WATCHED) == TRUSTED) == good


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_no_body_breaks_the_reading(body: str) -> None:
    """It is a list, a run, or a FormError."""
    for read in (runs_of, run_of, artifacts_of):
        try:
            read(body)
        except FormError:
            continue


def test_a_list_with_strange_items_keeps_the_others() -> None:
    """One that cannot be read is there by its id, and so is ignored; one without an id is not."""
    good = msgspec.json.encode(GOOD).decode()
    huge = '{"id": 99999999999999999999}'
    odd = f'{{"id": 7, "event": 5}}, {{"id": "x"}}, null, {huge}'
    found = runs_of(f'{{"workflow_runs": [{good}, {odd}]}}')
    assert [run.id for run in found] == [1, 7]
    assert judge(found[1], WATCHED).kind is Kind.IGNORED


def test_the_servers_runs_are_read_whole() -> None:
    """What the loopback server writes is what is judged."""
    server = GitHub()
    server.add("owner/repo", Run(5, second=9))
    (run,) = runs_of(msgspec.json.encode(server.listing("owner/repo", 1, 9)[0]).decode())
    assert judge(run, WATCHED) == TRUSTED
    assert (run.key, run.ran_at, run.actor and run.actor.login) == (
        (5, 1),
        at(9),
        "octocat",
    )


def test_workflow_paths() -> None:
    """A bare name lies where GitHub keeps workflows."""
    assert workflow_path("a.yml") == ".github/workflows/a.yml"
    assert workflow_path("x/a.yml") == "x/a.yml"


def artifact(number: int, name: str, created_at: str | None = None) -> ActionsArtifact:
    """Return an artifact."""
    return ActionsArtifact(id=number, name=name, created_at=created_at)


def test_artifacts_are_chosen_by_pattern_whatever_the_case() -> None:
    """In the order of their names, whatever order GitHub has."""
    there = [artifact(3, "ZAP-report"), artifact(2, "coverage"), artifact(1, "trivy.SARIF")]
    found = chosen(there, ("*zap*", "*.sarif"))
    assert [item.id for item in found] == [3, 1]


def test_the_newest_of_one_name_counts_and_later_attempts_do_not() -> None:
    """GitHub lists the artifacts of all attempts together."""
    there = [artifact(1, "zap", "2026-01-01"), artifact(2, "zap", "2026-01-03")]
    assert [item.id for item in chosen(there, ("*",))] == [2]
    assert [item.id for item in chosen(there, ("*",), "2026-01-02")] == [1]
