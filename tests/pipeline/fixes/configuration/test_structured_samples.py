"""What holds for every kind of file that is XML, JSON, HTML or OpenAPI and CloudFormation."""

import difflib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.configuration import (
    android_manifest,
    choose,
    cloudformation,
    html_page,
    network_config,
    openapi,
    package_json,
    web_xml,
)
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness

SAMPLES = Path(__file__).parent / "samples"
KINDS = {
    "AndroidManifest.xml": android_manifest.KIND,
    "index.html": html_page.KIND,
    "network_security_config.xml": network_config.KIND,
    "openapi.json": openapi.KIND,
    "openapi.yaml": openapi.KIND,
    "package.json": package_json.KIND,
    "profile.html": html_page.KIND,
    "swagger.yaml": openapi.KIND,
    "template.json": cloudformation.KIND,
    "template.yaml": cloudformation.KIND,
    "web.xml": web_xml.KIND,
}
_COMMENT = re.compile(r"(?s:<!--.*?-->)|(?:^|(?<=\s))# .*$", re.MULTILINE)
_MAX_CHANGED = 16


def kind_of(path: Path) -> Kind:
    """Return the kind that a sample is meant to be."""
    return next(kind for name, kind in KINDS.items() if path.name.endswith(name))


def samples() -> list[Path]:
    """Return the samples in order."""
    return sorted(SAMPLES.iterdir())


def repairs(kind: Kind, text: str) -> list[tuple[Weakness, Repair]]:
    """Return every way to mend every weakness of a text."""
    return [
        (weakness, repair)
        for weakness in kind.weaknesses(text)
        if weakness.check in kind.mends
        for repair in kind.mends[weakness.check](text, weakness)
    ]


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_sample_is_of_its_kind_alone(path: Path) -> None:
    """Each sample is recognised by its kind and by none of the others."""
    text = path.read_text(encoding="utf-8")
    found = [kind.name for kind in KINDS.values() if kind.recognises(path.name, text)]
    assert set(found) == {kind_of(path).name}


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_repair_ends_its_weakness_and_brings_none(path: Path) -> None:
    """What was weak is not any more, nothing else became weak, and the file is of its kind."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    before = {(w.check, w.where) for w in kind.weaknesses(text)}
    mended = repairs(kind, text)
    assert mended
    for weakness, repair in mended:
        after = {(w.check, w.where) for w in kind.weaknesses(repair.after)}
        assert (weakness.check, weakness.where) not in after
        assert after < before
        assert kind.recognises(path.name, repair.after)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_repair_changes_a_few_lines_and_keeps_comments(path: Path) -> None:
    """Outside of a few lines every byte stays, every comment does, and so does the file's end."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    for _, repair in repairs(kind, text):
        diff = difflib.ndiff(text.split("\n"), repair.after.split("\n"))
        assert len([line for line in diff if line[:1] in "+-"]) <= _MAX_CHANGED
        assert _COMMENT.findall(text) == _COMMENT.findall(repair.after)
        assert repair.after.endswith("\n") == text.endswith("\n")
        assert not re.search(r"[ \t]+$", repair.after, re.MULTILINE)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_mending_what_is_mended_changes_nothing(path: Path) -> None:
    """The same mend finds nothing to do in its own result."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    for weakness, repair in repairs(kind, text):
        again = kind.mends[weakness.check](repair.after, weakness)
        assert all(way.after == repair.after for way in again)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_all_mends_together_leave_what_has_none(path: Path) -> None:
    """One mend after the other comes to an end, and what is left cannot be mended."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    for _ in range(60):
        found = repairs(kind, text)
        if not found:
            break
        text = found[0][1].after
    assert not repairs(kind, text)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_words_are_ours_and_choices_differ(path: Path) -> None:
    """Each reason is a sentence, and where there are several ways each has a name."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    for weakness in kind.weaknesses(text):
        ways = kind.mends[weakness.check](text, weakness) if weakness.check in kind.mends else ()
        assert len({way.choice for way in ways}) == len(ways)
        assert len(ways) < 2 or all(way.choice for way in ways)
        for way in ways:
            assert re.fullmatch(r"[A-Z`].*\.", way.reason)
            assert way.reason.count("`") % 2 == 0


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_lines_of_a_weakness_are_lines_of_the_file(path: Path) -> None:
    """Each weakness stands on lines that there are, and is told once."""
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    found = kind.weaknesses(text)
    assert len({(w.check, w.where) for w in found}) == len(found)
    for weakness in found:
        assert 1 <= weakness.line <= weakness.end_line <= text.count("\n") + 1
        assert 0 < weakness.weight <= 1


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_the_score_rises_with_every_repair(path: Path) -> None:
    """A file scores more after each of its repairs."""
    text = path.read_text(encoding="utf-8")
    name = next(name for name in KINDS if path.name.endswith(name))
    before = choose.security_score(name, text)
    assert before is not None
    for _, repair in repairs(kind_of(path), text):
        after = choose.security_score(name, repair.after)
        assert after is not None
        assert after > before


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_text_makes_a_kind_raise(data: st.DataObject) -> None:
    """Samples with parts cut out, doubled and put elsewhere are read or refused, and mended."""
    path = data.draw(st.sampled_from(samples()))
    kind, text = kind_of(path), path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        to = data.draw(st.integers(at, min(len(text), at + 60)))
        put = data.draw(st.integers(0, len(text)))
        part = data.draw(
            st.sampled_from((text[at:to], "", "<", '"', "\n  ", "{", "]]>", "&x;", "ß"))
        )
        text = text[:at] + text[to:] if data.draw(st.booleans()) else text[:put] + part + text[put:]
    if not kind.recognises(path.name, text):
        return
    for weakness, repair in repairs(kind, text):
        left = {(w.check, w.where) for w in kind.weaknesses(repair.after)}
        assert (weakness.check, weakness.where) not in left


@settings(max_examples=150, deadline=None)
@given(st.text(), st.sampled_from(sorted(KINDS)))
def test_any_text_at_all_is_refused_or_read(text: str, name: str) -> None:
    """Random text raises nowhere."""
    kind = KINDS[name]
    assert kind.recognises(name, text) in {True, False}
    assert isinstance(kind.weaknesses(text), tuple)
