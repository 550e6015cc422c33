"""A fix is grammatical where the code was, in whatever surroundings that was."""

import pytest

from secdaemon.pipeline.fixes.parse_check import parses


@pytest.mark.parametrize(
    ("path", "before", "after", "broken"),
    [
        (
            "a.kt",
            "    override fun f(): Int = x",
            "    override fun f(): Int = y()",
            "    fun f( = y",
        ),
        (
            "A.java",
            "    int f() {\n        return x;\n    }",
            "    int f() { return 1; }",
            "int f() {",
        ),
        ("A.java", "x = run(a);", "x = run(b);", "x = run(b;"),
        (
            "a.py",
            "    def f(self):\n        run()",
            "    def f(self):\n        go()",
            "    def f(self:",
        ),
        ("a.ts", "  async f(a: string): Promise<A> {\n  }", "  f(): A {\n  }", "  f(): A {"),
        ("a.js", "  return await run(a);", "  return await run(b);", "  return await run(b;"),
        ("a.tsx", "const a = <b c={d}>e</b>;", "const a = <b>e</b>;", "const a = <b>e;"),
        ("a.go", "\tx := run(a)", "\tx := run(b)", "\tx := run(b"),
        ("a.c", "strcpy(a, b);", "strlcpy(a, b, n);", "strlcpy(a, b, n;"),
        (
            "a.yml",
            "  - uses: a@v1\n    with: x",
            "  - uses: a@v2\n    with: x",
            "  - uses: 'a\n    w: [",
        ),
        ("a.json", '  "a": "1",\n  "b": 2,', '  "a": "2",\n  "b": 2', '  "a": "2\n  "b": 2'),
        ("a.xml", '<a b="1">\n</a>', '<a b="2">\n</a>', '<a b="2>\n</a>'),
        ("Dockerfile", "FROM a:1\nUSER root", "FROM a:1\nUSER app", "FROM a:1\n((( app"),
        (
            "build.gradle",
            "dependencies {\n  a 'b:1'\n}",
            "dependencies {\n  a 'b:2'\n}",
            "dependencies {",
        ),
        ("a.gradle.kts", 'dependencies {\n  a("b:1")\n}', 'dependencies {\n  a("b:2")\n}', "x {("),
    ],
)
def test_parts_of_files(path: str, before: str, after: str, broken: str) -> None:
    """A member, a statement or an entry is read as what it is a part of."""
    assert parses(path, before, after) is True
    assert parses(path, before, broken) is False


def test_code_that_was_broken_before_may_stay_so() -> None:
    """A window cuts functions; then no more errors than before are asked for."""
    before = "}\n\nfun g() {\n    run(a)\n"
    assert parses("a.kt", before, before.replace("run(a)", "run(b)")) is True
    assert parses("a.kt", before, before.replace("run(a)", "run((b) ]")) is False


def test_a_language_without_a_grammar_is_not_judged() -> None:
    """Nothing is said about it, so nothing is refused."""
    assert parses("a.unknown", "((", ")") is None
