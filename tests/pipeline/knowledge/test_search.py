"""Neighbours of a finding: by words, by vectors, and by both."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from past_runs import example_of, finding_of, id_of, make_run, write_model

from secdaemon.pipeline.examples import Splits, write_jsonl, write_splits
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.interface import PastRun, Progress
from secdaemon.pipeline.knowledge.index import Index
from secdaemon.pipeline.knowledge.search import (
    Neighbour,
    NoSuchFindingError,
    Scope,
    find,
    neighbours,
    query_for,
    query_of,
)
from secdaemon.pipeline.knowledge.static_model import StaticModel
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past.known_findings import Entry as Known
from secdaemon.pipeline.past.provenance import SeenIn

FIRST, SECOND = "20260101_000000", "20260102_000000"


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


@pytest.fixture
def runs(tmp_path: Path) -> list[PastRun]:
    """Return two runs: three of SQL, two of paths, one digest; one of SQL is measured with."""
    return [
        make_run(
            tmp_path, FIRST, [finding_of("sql", 1), finding_of("sql", 2), finding_of("path", 1)]
        ),
        make_run(
            tmp_path,
            SECOND,
            [finding_of("sql", 1), finding_of("path", 2), finding_of("hash", 1)],
            test=[finding_of("sql", 3)],
            project="q",
        ),
    ]


def near(
    root: Path,
    runs: list[PastRun],
    scope: Scope | None = None,
    limit: int = 10,
    model: StaticModel | None = None,
) -> tuple[Neighbour, ...]:
    """Return the neighbours of the first SQL finding."""
    with Index(root / "knowledge.db", runs, model, unheard) as index:
        return neighbours(index, query_for(index, find(index, id_of("sql", 1))), limit, scope)


def ids(found: tuple[Neighbour, ...]) -> list[str]:
    """Return the neighbours' findings."""
    return [one.entry.finding for one in found]


def test_the_same_rule_comes_first(tmp_path: Path, runs: list[PastRun]) -> None:
    """Findings of the rule come before others; the finding itself is none of them."""
    found = near(tmp_path, runs)
    assert set(ids(found)[:2]) == {id_of("sql", 2), id_of("sql", 3)}
    assert id_of("sql", 1) not in ids(found)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert found[0].score == pytest.approx(1)
    assert all(one.words is not None and 0 < one.words <= 1 for one in found)
    assert all(one.cosine is None for one in found)


def test_a_neighbour_of_several_runs_is_shown_once(tmp_path: Path, runs: list[PastRun]) -> None:
    """With all its runs, and as its newest run has it."""
    runs.append(make_run(tmp_path, "20260103_000000", [changed("path", 1)]))
    found = {one.entry.finding: one for one in near(tmp_path, runs)}
    one = found[id_of("path", 1)]
    assert one.runs == (FIRST, "20260103_000000")
    assert one.entry.code == "changed = 1"


def changed(subject: str, number: int) -> Finding:
    """Return a finding with other code under the same id."""
    return msgspec.structs.replace(finding_of(subject, number), snippet="changed = 1")


def test_a_limit_and_runs_are_kept_to(tmp_path: Path, runs: list[PastRun]) -> None:
    """Only what these runs saw, and no more than was asked for."""
    assert len(near(tmp_path, runs, limit=2)) == 2
    found = near(tmp_path, runs, Scope(runs=(SECOND,)))
    assert id_of("sql", 2) not in ids(found)
    assert id_of("sql", 3) in ids(found)
    assert not near(tmp_path, runs, Scope(runs=()))


def test_what_a_run_measures_with_teaches_nothing(tmp_path: Path, runs: list[PastRun]) -> None:
    """A finding of any run's test split is no example for a model, in whatever run it is found."""
    runs.append(make_run(tmp_path, "20260103_000000", [finding_of("sql", 3)]))
    assert id_of("sql", 3) in ids(near(tmp_path, runs))
    assert id_of("sql", 3) not in ids(near(tmp_path, runs, Scope(teaching=True)))


def test_valid_is_held_out_as_well(tmp_path: Path, runs: list[PastRun]) -> None:
    """What early stopping looks at is no example either."""
    one = (example_of(finding_of("sql", 2)),)
    write_splits(RunFolder(Path(runs[1].folder)).project_data, Splits((), one, ()))
    assert id_of("sql", 2) not in ids(near(tmp_path, runs, Scope(teaching=True)))


def test_what_was_learned_later_is_the_fix(tmp_path: Path, runs: list[PastRun]) -> None:
    """A finding that is gone is shown with its developers' fix, as a finding of its own run."""
    gone = finding_of("sql", 2)
    entry = Known(
        finding=gone,
        seen=seen(FIRST),
        gone=seen(SECOND),
        examples=(example_of(gone, approach="history"),),
    )
    valid = Known(finding=finding_of("sql", 7), seen=seen(FIRST), examples=())
    write_jsonl(RunFolder(Path(runs[1].folder)).corpus, [entry, valid])
    found = {one.entry.finding: one for one in near(tmp_path, runs)}
    assert found[gone.id].entry.approach == "history"
    assert found[gone.id].runs == (FIRST,)
    assert id_of("sql", 7) not in found


def seen(run: str) -> SeenIn:
    """Return a run as a place where findings were seen."""
    return SeenIn(run=run, at="2026-01-01T00:00:00.000Z", name="x", sha256="0")


def test_a_filter_passes_over_and_goes_on(tmp_path: Path, runs: list[PastRun]) -> None:
    """Entries that are not wanted take no place of others."""
    scope = Scope(wanted=lambda entry: "path" in entry.rule)
    assert ids(near(tmp_path, runs, scope, limit=2)) == [id_of("path", 1), id_of("path", 2)]


def test_vectors_find_what_shares_no_word(tmp_path: Path) -> None:
    """By the model, `query` is like `execute`; the fusion brings it forward, words alone do not."""
    write_model(tmp_path)
    asked = plain("sql", 1, "execute")
    alike, other = plain("hash", 2, "query"), plain("path", 3, "hashlib")
    runs = [make_run(tmp_path, FIRST, [asked, alike, other])]
    with Index(tmp_path / "knowledge.db", runs, StaticModel(tmp_path), unheard) as index:
        found = neighbours(index, query_of(asked, "execute"), 10)
    assert ids(found)[0] == alike.id
    assert found[0].cosine == pytest.approx(0.9939, abs=1e-3)
    with Index(tmp_path / "knowledge.db", runs, None, unheard) as index:
        assert not neighbours(index, query_of(asked, "execute"), 10)


def plain(subject: str, number: int, word: str) -> Finding:
    """Return a finding whose words are its own, but for one."""
    return msgspec.structs.replace(
        finding_of(subject, number),
        rule=word * 3,
        message=word,
        cwes=(f"CWE-{number}",),
        path=None,
        snippet=word,
    )


def test_both_rankings_are_fused(tmp_path: Path, runs: list[PastRun]) -> None:
    """The score is the mean of the ranks' shares, 61 / (60 + rank) in each."""
    write_model(tmp_path)
    model = StaticModel(tmp_path)
    found = near(tmp_path, runs, model=model)
    by_words = ids(near(tmp_path, runs))
    by_cosine = sorted(found, key=lambda one: (-(one.cosine or -1), one.entry.finding))
    for one in found:
        ranks = (by_words.index(one.entry.finding) + 1, by_cosine.index(one) + 1)
        assert one.score == pytest.approx(sum(61 / (60 + rank) for rank in ranks) / 2)


def test_the_same_question_has_the_same_answer(tmp_path: Path, runs: list[PastRun]) -> None:
    """Order and scores do not depend on the order in which runs were read."""
    first = near(tmp_path, runs)
    (tmp_path / "knowledge.db").unlink()
    assert near(tmp_path, runs[::-1]) == first


def test_a_name_is_an_id_or_how_one_begins(tmp_path: Path, runs: list[PastRun]) -> None:
    """An example's id will do; what fits nothing, or several, is refused with what it is."""
    with Index(tmp_path / "knowledge.db", runs, None, unheard) as index:
        whole = id_of("hash", 1)
        for name in (whole, whole[:1], f"finding-{whole}", f" {whole.upper()} "):
            assert find(index, name).finding == whole
        for name in ("", "  ", "finding-", "zz", f"{whole}0", "%", "_", "0' OR 1=1 --"):
            with pytest.raises(NoSuchFindingError, match="no finding"):
                find(index, name)
        with pytest.raises(NoSuchFindingError, match="more than one"):
            find(index, id_of("sql", 1)[:3])


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=80))
def test_any_finding_can_be_looked_up(index: Index, rule: str, code: str, message: str) -> None:
    """Whatever a scanner wrote, the search answers."""
    asked = msgspec.structs.replace(finding_of("sql", 9), rule=rule, message=message)
    neighbours(index, query_of(asked, code), 5)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Return an index of a few findings."""
    root = tmp_path_factory.mktemp("index")
    write_model(root)
    runs = [make_run(root, FIRST, [finding_of("sql", 1), finding_of("path", 1)])]
    return Index(root / "knowledge.db", runs, StaticModel(root), unheard)
