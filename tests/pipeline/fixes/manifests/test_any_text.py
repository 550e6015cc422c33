"""Whatever the files of a project hold: no error, and every fix is one."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS = {
    "Maven": ("a.b:c-d", ("build.gradle", "build.gradle.kts", "gradle.lockfile", "gradle/libs.versions.toml", "pom.xml")),
    "npm": ("@a/b", ("package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml")),
    "PyPI": ("a-b", ("pyproject.toml", "requirements.txt", "uv.lock", "Pipfile")),
    "Go": ("a.b/c", ("go.mod", "go.sum")),
    "crates.io": ("a-b", ("Cargo.toml", "Cargo.lock")),
    "debian": ("libab", ("Dockerfile",)),
}  # fmt: skip
PIECES = (
    *("a.b:c-d", "a.b:c-d:1.0.0", "a.b", "c-d", "@a/b", "a-b", "a.b/c", "libab", "1.0.0", "v1.0.0"),
    *("{", "}", "[", "]", "(", ")", '"', "'", "<", ">", "=", ":", ",", "\n", "  ", "\t", "$", "${v}", "\\"),
    *("dependencies", "constraints", "implementation ", "implementation(", "val v = ", "ext.v = "),
    *("[versions]\n", "[libraries]\n", "module", "version.ref", "version", "libs.c.d", "libs.c.d)"),
    *("<project>", "</project>", "<dependencies>", "</dependencies>", "<dependency>", "</dependency>"),
    *("<groupId>a.b</groupId>", "<artifactId>c-d</artifactId>", "<version>1.0.0</version>"),
    *('"dependencies": {', '"@a/b": "^1.0.0"', '"overrides": {', "[project]\n", 'dependencies = ["a-b"]'),
    *("[tool.uv]\n", "[tool.poetry.dependencies]\n", "a-b == 1.0.0", "--hash=x", "# ", "// ", "/* ", "é", "𝄞"),
    *("module x\n", "go 1.21\n", "require ", "require (\n", "replace ", "FROM debian:12\n", "RUN x \\\n", "USER a\n"),
)  # fmt: skip

texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
sets = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.sampled_from((*KINDS[kind][1], None)),
        st.fixed_dictionaries(dict.fromkeys(KINDS[kind][1], texts)),
    )
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sets)
def test_any_files(
    mend: Any, asked: Any, given_files: tuple[str, str | None, dict[str, str]]
) -> None:
    """Nothing raises; what is proposed was weak, is not any more, and is not proposed again."""
    kind, path, files = given_files
    image = "acme/x:1" if path is None or kind == "debian" else None
    wanted = asked(
        name=KINDS[kind][0],
        installed="1.0.0",
        version="1.0.1",
        ecosystem=kind,
        path=path,
        image=image,
    )
    for fix in mend(files, wanted):
        assert "1.0.1" in fix.after
        assert "\n" not in fix.reason


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("build.gradle", "Maven", "a{" * 40_000),
        ("build.gradle.kts", "Maven", 'a("b:c:1"){' * 20_000),
        ("pom.xml", "Maven", "<project>" + "<a>" * 40_000),
        ("package.json", "npm", '{"a":' * 40_000),
        ("pyproject.toml", "PyPI", "a = " + "[" * 100_000),
        ("requirements.txt", "PyPI", "a" * 200_000 + "\n" + "b" * 390 + "!\n" * 1000),
        ("go.mod", "Go", "require (\n" * 20_000),
        ("Cargo.toml", "crates.io", "a = " + "{a=" * 40_000),
        ("Dockerfile", "debian", "FROM a\n" * 20_000),
    ],
)  # fmt: skip
def test_texts_made_to_hurt(mend: Any, asked: Any, path: str, kind: str, text: str) -> None:
    """Deep nesting and long lines end in nothing or in a fix, not in an error."""
    image = "acme/x:1" if kind == "debian" else None
    wanted = asked(
        name=KINDS[kind][0],
        installed="1.0.0",
        version="1.0.1",
        ecosystem=kind,
        path=path,
        image=image,
    )
    assert len(mend({path: text}, wanted)) <= 1


@pytest.mark.parametrize(
    ("name", "version"),
    [('a:b"); evil("', "1.1"), ("a:b\n", "1.1"), ("a:b", '1.1"); evil("'), ("a:b", "1.1\n"), ("", "1.1"), ("a:b", ""), ("a:é", "1.1")],
)  # fmt: skip
def test_names_that_are_more_than_names(mend: Any, asked: Any, name: str, version: str) -> None:
    """A name or version that could end a string gets no fix."""
    wanted = asked(
        name=name, installed="1.0", version=version, ecosystem="Maven", path="build.gradle"
    )
    assert mend({"build.gradle": "dependencies {\n}\n"}, wanted) == ()
