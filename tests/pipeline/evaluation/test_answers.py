"""Generated answers: what is compared, what is checked, what is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation.answers import judge, summary
from secdaemon.pipeline.evaluation.blocks import Block, blocks
from secdaemon.pipeline.evaluation.checks import NAMES, check
from secdaemon.pipeline.evaluation.model import Rate
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.fixes.quote import fenced

BEFORE = "import hashlib\n\ndef digest(data):\n    return hashlib.md5(data)"
AFTER = BEFORE.replace("md5", "sha256")


def fix(before: str = BEFORE, after: str = AFTER, language: str = "python") -> Example:
    """Return an example whose answer is fixed code."""
    return Example(
        id="a",
        messages=conversation(
            f"Fix it.\n\n{fenced(before, language)}",
            f"**Weakness:** CWE-327, old.\n\n{fenced(after, language)}",
        ),
        group="g",
        metadata={"language": language, "category": "code"},
    )


def upgrade(version: str = "2.1.4") -> Example:
    """Return an example whose answer is an upgrade."""
    return Example(
        id="b",
        messages=conversation("A package is vulnerable.", upgrade_text("libfoo", version)),
        group="g",
        metadata={"language": "none", "category": "dependency"},
    )


def upgrade_text(name: str, version: str) -> str:
    """Return an answer that upgrades a package."""
    return f"**Fix:** Upgrade `{name}` from `2.0.0` to `{version}`, the smallest fixed version."


def answer(code: str, cwe: str = "CWE-327") -> str:
    """Return an answer with code."""
    return f"**Weakness:** {cwe}, old.\n\n{fenced(code, 'python')}"


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        (AFTER, set()),
        (AFTER.replace("    return", "\treturn "), set()),
        (BEFORE, {"changes_code", "weakness_gone", "has_fix"}),
        (BEFORE.replace("md5", "sha1"), {"has_fix"}),
        ("return hashlib.sha256(data)", {"keeps_code"}),
        (AFTER + "\nold = hashlib.md5(data)", set()),
        (AFTER + "\n    return hashlib.md5(data)", {"weakness_gone"}),
        ("", {"changes_code", "weakness_gone", "has_fix", "keeps_code"}),
    ],
    ids=["fix", "white space", "echo", "other fix", "part", "other line", "both lines", "empty"],
)
def test_the_checks_of_a_fix(code: str, failed: set[str]) -> None:
    """Each check fails for what it is there to catch, and for nothing else."""
    found = check(fix(), answer(code))
    assert {name for name, passed in found.items() if not passed} == failed
    assert set(found) == set(NAMES) - {"right_version"}


def test_checks_that_do_not_apply_are_absent() -> None:
    """A fix that only adds lines has no line to be gone; advice has no code to be checked."""
    added = fix(after=BEFORE + "\n    # done")
    assert "weakness_gone" not in check(added, answer(AFTER))
    advice = Example(id="c", messages=conversation("Explain.", "Rotate the key."), group="g")
    assert check(advice, "Rotate it.") == {}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        (upgrade_text("libfoo", "2.1.4"), True),
        (upgrade_text("libfoo", "3.0.0"), False),
        (upgrade_text("libbar", "2.1.4"), False),
        ("Upgrade `libfoo` to `2.1.4`.", True),
        ("It is `2.1.4`.", False),
    ],
)
def test_an_upgrade_has_to_name_package_and_version(text: str, *, passed: bool) -> None:
    """The recommended version is the reference's, of the reference's package."""
    assert check(upgrade(), text) == {"right_version": passed}


def test_the_reference_is_worth_everything() -> None:
    """The reference as an answer passes every check, parses and has a CodeBLEU of 1."""
    example = fix()
    found = judge(example, example.messages[-1].content, exact=True, cut=False)
    assert found.exact_normalised
    assert found.parses
    assert found.codebleu is not None
    assert found.codebleu.value == pytest.approx(1.0)
    assert all(found.checks.values())
    assert found.language == "python"


def test_new_errors_of_syntax_are_seen_and_old_ones_forgiven() -> None:
    """Code parses when it has no more errors than the reference or the question has."""
    broken = AFTER.replace("(data):", "(data:")
    assert not judge(fix(), answer(broken), exact=False, cut=False).parses
    cut_out = "    except ValueError:\n        return hashlib.{}(data)"
    part = fix(cut_out.format("md5"), cut_out.format("sha256"))
    assert judge(part, answer(cut_out.format("sha1")), exact=False, cut=False).parses


def test_white_space_is_what_normalised_leaves_out() -> None:
    """Another layout of the same words is an exact match but for white space."""
    example = upgrade()
    text = example.messages[-1].content.replace(" ", "\n ")
    assert judge(example, text, exact=False, cut=False).exact_normalised
    assert not judge(example, text + "x", exact=False, cut=False).exact_normalised


def test_languages_without_a_grammar_are_counted() -> None:
    """Code that no grammar reads has no CodeBLEU, and is counted by its language."""
    example = fix(language="cobol")
    found = judge(example, answer(AFTER), exact=False, cut=True)
    assert (found.codebleu, found.parses, found.language) == (None, None, "cobol")
    total = summary([found, judge(fix(), answer(AFTER), exact=True, cut=False)])
    assert total.without_grammar == {"cobol": 1}
    assert (total.examples, total.exact, total.cut, total.codebleu_of) == (2, 1, 1, 1)
    assert total.parses == Rate(1, 1)
    assert total.checks["has_fix"] == Rate(2, 2)
    assert list(total.checks) == [name for name in NAMES if name != "right_version"]


def test_no_generation_sums_up_to_nothing() -> None:
    """Where nothing was generated there is no value and no check."""
    total = summary([])
    assert (total.examples, total.codebleu, total.checks) == (0, None, {})


@given(st.text(max_size=80), st.sampled_from(["", "python", "c"]))
def test_fenced_code_is_found_again(code: str, language: str) -> None:
    """What `fenced` writes is one block with that code, whatever fences stand in the code."""
    written = fenced(code, language)
    assert blocks(f"Before.\n\n{written}\n\nAfter.") == blocks(written)
    (found,) = blocks(written)
    assert found.language == language
    assert fenced(found.code, language) == written


def test_a_block_that_is_cut_short_goes_to_the_end() -> None:
    """An answer that ends within its code has that much of it."""
    assert blocks("Fix:\n```go\na := 1\nb :=") == (Block("go", "a := 1\nb :="),)
    assert blocks("``` no fence\ntext `a` ```") == ()
