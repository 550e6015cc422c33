"""What holds for every workflow, Dockerfile, Kubernetes manifest and Compose file."""

import difflib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.configuration import compose, dockerfile, kubernetes, workflows
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import read_yaml

SAMPLES = sorted((Path(__file__).parent / "deployments").iterdir())
KINDS = {
    "Dockerfile": dockerfile.KIND,
    "action.yml": workflows.KIND,
    "compose.yaml": compose.KIND,
    "compose.yml": compose.KIND,
    "k8s.yaml": kubernetes.KIND,
    "k8s.yml": kubernetes.KIND,
    "workflow.yaml": workflows.KIND,
    "workflow.yml": workflows.KIND,
}
MAX_CHANGED = 30


def kind_of(path: Path) -> Kind:
    """Return the kind that a sample is meant to be."""
    return KINDS[path.name.partition(".")[2]]


def repairs(kind: Kind, text: str) -> list[tuple[Weakness, Repair]]:
    """Return every way to mend every weakness of a text."""
    return [
        (weakness, repair)
        for weakness in kind.weaknesses(text)
        if weakness.check in kind.mends
        for repair in kind.mends[weakness.check](text, weakness)
    ]


def check_repairs(kind: Kind, text: str) -> None:
    """Each repair ends its weakness, brings no other, is read again and is not made twice."""
    before = {(found.check, found.where) for found in kind.weaknesses(text)}
    for weakness, repair in repairs(kind, text):
        after = {(found.check, found.where) for found in kind.weaknesses(repair.after)}
        assert (weakness.check, weakness.where) not in after, (weakness, repair.after)
        assert after <= before, (weakness, repair.after)
        assert kind.recognises("x.yml", repair.after)
        assert repair.reason
        assert kind.mends[weakness.check](repair.after, weakness) == ()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_of_its_kind_alone_and_has_weaknesses(path: Path) -> None:
    """Every sample is recognised by its kind and no other, and something is wrong with it."""
    text = path.read_text()
    known = {kind.name for kind in KINDS.values() if kind.recognises(str(path), text)}
    assert known == {kind_of(path).name}
    lines = text.count("\n")
    found = kind_of(path).weaknesses(text)
    assert found
    assert all(1 <= weakness.line <= weakness.end_line <= lines for weakness in found)
    assert all(0 < weakness.weight <= 1 for weakness in found)
    places = [(weakness.check, weakness.where) for weakness in found]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_repairs_of_samples_hold(path: Path) -> None:
    """Repairs of real-looking files do what they say, and little else."""
    text = path.read_text()
    check_repairs(kind_of(path), text)
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    for weakness, repair in repairs(kind_of(path), text):
        diff = list(difflib.unified_diff(text.splitlines(), repair.after.splitlines(), n=0))[2:]
        changed = [line for line in diff if line[0] in "+-"]
        assert 0 < len(changed) <= MAX_CHANGED, (weakness, changed)
        assert [line for line in repair.after.splitlines() if line in comments] == comments
        assert repair.after.endswith("\n")
        assert not any(line != line.rstrip() for line in repair.after.splitlines())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_all_repairs_made_one_after_the_other_end(path: Path) -> None:
    """Mending a file until nothing more can be mended comes to an end, with fewer weaknesses."""
    kind, text = kind_of(path), path.read_text()
    before = len(kind.weaknesses(text))
    for _ in range(before + 1):
        ways = repairs(kind, text)
        if not ways:
            break
        text = ways[0][1].after
    assert not repairs(kind, text)
    assert len(kind.weaknesses(text)) < before or path.name == "nginx.Dockerfile"
    if kind.language == "yaml":
        assert read_yaml(text) is not None


@st.composite
def broken(draw: st.DrawFn) -> tuple[Kind, str]:
    """Return a sample with lines taken out, doubled, moved or changed."""
    path = draw(st.sampled_from(SAMPLES))
    lines = path.read_text().split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["out", "double", "indent", "cut", "word", "swap"]))
        if what == "out" and len(lines) > 1:
            lines.pop(at)
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "indent":
            lines[at] = draw(st.sampled_from(["  ", " ", "\t", "- ", "# "])) + lines[at]
        elif what == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif what == "word":
            words = [
                "&a",
                "*a",
                "<<: *a",
                "{",
                "[",
                "'",
                '"',
                "|",
                "\\",
                "${{",
                "}}",
                "é",
                "\u2028",
            ]
            lines[at] += draw(st.sampled_from([" ", ""])) + draw(st.sampled_from(words))
        else:
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
    return kind_of(path), "\n".join(lines)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken())
def test_repairs_of_broken_files_hold(case: tuple[Kind, str]) -> None:
    """Whatever is done to a file, nothing raises, and what is still repaired is repaired well."""
    kind, text = case
    check_repairs(kind, text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.sampled_from(sorted(KINDS)))
def test_any_text_is_taken(text: str, name: str) -> None:
    """No text raises, alone or behind the beginning of a file of the kind."""
    kind = KINDS[name]
    starts = [
        "",
        "FROM a\n",
        "on: push\njobs:\n  a:\n    runs-on: b\n    steps:\n",
        "services:\n a:\n",
    ]
    for start in starts:
        check_repairs(kind, start + text)


HOSTILE = [
    "[" * 100_000,
    "- " * 60_000,
    "? " * 60_000,
    '"' * 100_000,
    "&a " * 40_000,
    "a:\n" + " b:\n" * 30_000,
    "${{" * 40_000,
    "FROM a\nRUN " + "\\\n" * 20_000,
    "FROM a\nRUN " + "$(" * 20_000,
    "FROM a\nRUN " + "apt-get install x;" * 3_000,
    "FROM a\nRUN " + "<<a " * 15_000,
    *(
        f'on: x\njobs: {{a: {{runs-on: b, steps: [{{run: "{words}"}}]}}}}'
        for words in (
            "${{ " * 40_000,
            "${{ ' " * 30_000,
            "${{ github.event.a " * 1_000,
            "git - " * 30_000,
            "git -a=b -a=b " * 9_000,
            "gh a" * 40_000,
            "docker login " * 10_000,
            "gradlew " * 20_000,
            "a/" * 60_000,
        )
    ),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_made_to_take_long_are_taken(text: str) -> None:
    """Texts on which a careless pattern or parser would not end are read like others."""
    for kind in {kind.name: kind for kind in KINDS.values()}.values():
        for weakness in kind.weaknesses(text)[:2]:
            for repair in kind.mends.get(weakness.check, lambda _text, _weakness: ())(
                text, weakness
            ):
                assert repair.after != text
