"""Long files cut to what changes: whole functions, the same lines on both sides."""

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.languages import language_of, path_of
from secdaemon.pipeline.public.changed_units import Alignment
from secdaemon.pipeline.public.code_pairs import CodePair
from secdaemon.pipeline.public.pairs_to_examples import TRANSFORM_VERSION, example_of_pair

HELPER = "\n".join(f"def helper_{n}(value):\n    return value + {n}\n\n" for n in range(200))
FLAWED = """def find(name):
    query = "select * from users where name = '" + name + "'"
    return run(query)
"""
FIXED = FLAWED.replace(""""select * from users where name = '" + name + "'\"""", """bind(name)""")
LONG = 'def long(value):\n    """What it does."""\n' + "\n".join(
    f"    step_{n} = value + {n}" for n in range(300)
)


def pair(before: str, after: str, language: str = "python") -> CodePair:
    """Return a pair of a whole file."""
    return CodePair(source="s", group="g", language=language, before=before, after=after)


def test_a_long_file_is_cut_to_the_functions_that_change() -> None:
    """Both changed functions stand whole on both sides, a comment where others are left out."""
    before = f"{FLAWED}\n\n{HELPER}\n\n{FLAWED.replace('find', 'seek')}"
    after = f"{FIXED}\n\n{HELPER}\n\n{FIXED.replace('find', 'seek')}"
    assert Alignment(before, after, "python").units() == (
        f"{FLAWED}# …\n{FLAWED.replace('find', 'seek')}".strip(),
        f"{FIXED}# …\n{FIXED.replace('find', 'seek')}".strip(),
    )
    example = example_of_pair(pair(before, after), 6_000)
    assert example is not None
    for turn in example.messages[1:]:
        assert "def find(name):" in turn.content
        assert "def seek(name):" in turn.content
        assert "helper_" not in turn.content


def test_a_function_that_is_added_stands_whole() -> None:
    """What only the fix has is shown, and the comment stands on both sides."""
    before = f"{HELPER}\n\n{FLAWED}"
    after = (
        f"{HELPER}\n\ndef bind(name):\n    checked = check(name)\n    return checked\n\n\n{FIXED}"
    )
    old, new = Alignment(before, after, "python").units() or ("", "")
    assert old == FLAWED.strip()
    assert new.startswith("def bind(name):")
    assert new.endswith(FIXED.strip())


def test_a_long_function_keeps_its_head() -> None:
    """The first line and the lines around the change stand for a function that is too long."""
    before = f"{HELPER}\n{LONG}\n"
    after = before.replace("step_150 = value + 150", "step_150 = checked(value)")
    old, new = Alignment(before, after, "python").units() or ("", "")
    for side in (old, new):
        assert side.startswith("def long(value):\n")
        assert side.count("# …") == 1
        assert "step_142 " in side
        assert "step_158 " in side
        assert "step_141 " not in side


def test_outside_functions_lines_around_the_change_are_kept() -> None:
    """A change at the top of a file is in no unit; windows show it."""
    lines = [f"setting_{n} = {n}" for n in range(500)]
    before = "\n".join(lines)
    after = before.replace("setting_250 = 250", "setting_250 = checked(250)")
    alignment = Alignment(before, after, "python")
    assert alignment.units() is None
    assert alignment.windows(3)[0].splitlines() == lines[247:254]


@given(st.lists(st.sampled_from("abcdef {}()\n\t'\"/*#"), max_size=60), st.data())
def test_both_sides_are_cut_alike(characters: list[str], data: st.DataObject) -> None:
    """The cut lines of a side are lines of that side, and every changed line is among them."""
    before = "".join(characters)
    after = "".join(data.draw(st.permutations(characters)))
    if before.splitlines() == after.splitlines():
        return
    language = data.draw(st.sampled_from(["python", "c", "javascript", "none"]))
    alignment = Alignment(before, after, language)
    for cut in (alignment.units(), alignment.windows(0), alignment.windows(2)):
        for side, whole in zip(cut or (), (before, after), strict=False):
            assert set(side.splitlines()) <= {*whole.splitlines(), "", "# …", "// …"}
    old, new = alignment.windows(0)
    gone, come = set(before.splitlines()), set(after.splitlines())
    assert set(old.splitlines()) >= gone - come - {""}
    assert set(new.splitlines()) >= come - gone - {""}


def test_made_up_names_are_of_their_language() -> None:
    """A file name made up for a language is read as that language's again."""
    for language in ("python", "java", "c", "cpp", "groovy", "dockerfile", "javascript", "go"):
        assert language_of(path_of(language)) == language
    assert not path_of("groovy").endswith(".gradle")
    assert path_of("none") == ""
    assert TRANSFORM_VERSION == 2
