"""Comments and layout are no change; anything else is one."""

import pytest

from secdaemon.pipeline.fixes.code_words import says_more


@pytest.mark.parametrize(
    ("path", "before", "after", "more"),
    [
        ("a.py", "run(x)", "# TODO: fix\nrun( x )", False),
        ("a.py", "run(x)", "run(y)", True),
        ("a.py", 'run("# x")', 'run("# y")', True),
        ("A.kt", "fun f() { run(x) }", "// TODO\nfun f() {\n  run(x)\n}", False),
        ("a.yml", "a: 1 # one\nb: 2", "a: 1\n# two\nb: 2", False),
        ("a.yml", "a: 1", "a: 2", True),
        ("Dockerfile", "FROM a\n", "# why\nFROM a\n", False),
        ("a.json", '{"a": 1}', '{ "a": 1 }', False),
        ("a.xml", "<a b='c'/>", "<!-- why --><a b='c'/>", False),
        ("a.xml", "<a b='c'/>", "<a b='d'/>", True),
        ("notes.txt", "a b", "a  b", False),
        ("notes.txt", "a b", "a c", True),
    ],
)
def test_what_counts(path: str, before: str, after: str, more: bool) -> None:
    """By the language's own comments, whatever they look like."""
    assert says_more(path, before, after) is more
