"""package.json and HTML pages: what a text itself says how to mend, and what it does not."""

import json

import pytest

from secdaemon.pipeline.fixes.configuration import html_page, package_json
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair


def ways(kind: Kind, text: str, check: str) -> tuple[Repair, ...]:
    """Return the ways to mend the one weakness of a check."""
    (weakness,) = [w for w in kind.weaknesses(text) if w.check == check]
    return kind.mends[check](text, weakness)


@pytest.mark.parametrize(
    ("version", "check"),
    [
        ("*", "open-range"),
        ("", "open-range"),
        ("latest", "open-range"),
        (">=1.2", "open-range"),
        ("> 1", "open-range"),
        (">=1.2.0 <2", None),
        ("^1.2.0", None),
        ("1.2.x", None),
        ("workspace:*", None),
        ("npm:other@1.0.0", None),
        ("git://github.com/a/b.git", "plain-source"),
        ("git+http://gitlab.com/a/b.git", "plain-source"),
        ("http://codeload.github.com/a/b/tar.gz/v1", "plain-source"),
        ("git+https://github.com/a/b.git#v1", None),
        ("http://inside.example/b.tgz", None),
        ("http://github.com.evil.example/b.tgz", None),
    ],
)
def test_which_dependencies_are_weak(version: str, check: str | None) -> None:
    """Ranges without an upper end, and sources in the clear on hosts that are known to have TLS."""
    text = json.dumps({"dependencies": {"a": version}}, indent=2)
    assert [w.check for w in package_json.KIND.weaknesses(text)] == ([check] if check else [])
    if check == "plain-source":
        (way,) = ways(package_json.KIND, text, check)
        (after,) = json.loads(way.after)["dependencies"].values()
        assert after.partition("://")[0] in {"https", "git+https"}
        assert after.partition("://")[2] == version.partition("://")[2]
    if check == "open-range":
        assert ways(package_json.KIND, text, check) == ()


def test_a_range_is_narrowed_to_what_the_file_says() -> None:
    """An override names the version; two that differ, or none, name nothing."""
    package = {"dependencies": {"a": "*"}, "overrides": {"a": "~1.2.3"}}
    (way,) = ways(package_json.KIND, json.dumps(package), "open-range")
    assert json.loads(way.after)["dependencies"] == {"a": "~1.2.3"}
    package["resolutions"] = {"a": "^2.0.0"}
    assert ways(package_json.KIND, json.dumps(package), "open-range") == ()


@pytest.mark.parametrize(
    ("path", "text", "known"),
    [
        ("web/package.json", '{"dependencies": {}}', True),
        ("package-lock.json", '{"dependencies": {}}', False),
        ("package.json", '{"lockfileVersion": 3, "dependencies": {}}', False),
        ("package.json", '{"type": "module"}', False),
        ("package.json", "[]", False),
    ],
)
def test_a_package_is_known_by_name_and_content(path: str, text: str, known: bool) -> None:
    """A lock file and a package of one setting are none."""
    assert package_json.KIND.recognises(path, text) is known


def test_a_script_that_runs_what_it_fetches_is_told() -> None:
    """What it should run instead is not known here."""
    text = '{"scripts": {"postinstall": "curl -s https://a.example/x | sudo bash"}}'
    assert [w.check for w in package_json.KIND.weaknesses(text)] == ["piped-script"]
    assert "piped-script" not in package_json.KIND.mends


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<a href="https://x.example" target="_blank">', '<a href="https://x.example" target="_blank" rel="noopener">'),
        ("<a target=_blank href=//x.example>", '<a target=_blank rel="noopener" href=//x.example>'),
        ("<a href='http://x.example' rel='nofollow' target=_BLANK>", "<a href='http://x.example' rel='nofollow noopener' target=_BLANK>"),
        ('<a rel="" href="https://x.example" target="_blank">', '<a rel="noopener" href="https://x.example" target="_blank">'),
        ('<a rel href="https://x.example" target="_blank">', '<a rel="noopener" href="https://x.example" target="_blank">'),
        ('<a rel=ugc href="https://x.example" target="_blank">', '<a rel="ugc noopener" href="https://x.example" target="_blank">'),
        ('<A HREF="{{ url }}" TARGET="_blank">', '<A HREF="{{ url }}" TARGET="_blank" rel="noopener">'),
    ],
)  # fmt: skip
def test_a_window_of_its_own_keeps_no_opener(before: str, after: str) -> None:
    """The word is added to what is there, in its own quotes."""
    (way,) = ways(html_page.KIND, f"<p>{before}ä</a></p>", "opener")
    assert way.after == f"<p>{after}ä</a></p>"


@pytest.mark.parametrize(
    "tag",
    [
        '<a href="/own" target="_blank">',
        '<a href="https://x.example">',
        '<a href="https://x.example" target="_blank" rel="noreferrer">',
        '<a href="https://x.example" target="_blank" rel="opener">',
        '<a href="https://x.example" target="_blank" rel="{{ rel }}">',
        '<form action="http://localhost:8080">',
        '<script src="/own.js">',
        '<script src="https://x.example/a.js" integrity="sha384-x">',
        '<link rel="icon" href="https://x.example/i.png">',
        '<input value="{{ name }}">',
    ],
)
def test_what_is_no_weakness_of_a_page(tag: str) -> None:
    """Own addresses, what says what it means, what is quoted and what only shows."""
    assert html_page.KIND.weaknesses(f"<div>{tag}</div>") == ()


def test_a_digest_is_never_made_up() -> None:
    """A foreign script without one is told; nothing here knows what it is."""
    text = '<script src="https://x.example/a.js"></script>'
    assert [w.check for w in html_page.KIND.weaknesses(text)] == ["missing-integrity"]
    assert "missing-integrity" not in html_page.KIND.mends


def test_forms_and_scripts_are_loaded_over_tls() -> None:
    """The one letter is added, in whatever quotes, and a foreign script stays one."""
    text = (
        "<form action=http://x.example/a></form>\n<script src='http://x.example/a.js'></script>\n"
    )
    weak = [w for w in html_page.KIND.weaknesses(text) if w.check == "plain-address"]
    for weakness in weak:
        (way,) = html_page.KIND.mends["plain-address"](text, weakness)
        text = way.after
    assert text.count("https://x.example/a") == len(weak) == 2


def test_a_django_form_sends_the_token() -> None:
    """Only a form that posts to its own site, and only in a template of Django."""
    form = '<form method="post"><b>x</b></form>'
    (way,) = ways(html_page.KIND, f"{{% load i18n %}}{form}", "forged-request")
    assert way.after == '{% load i18n %}<form method="post">{% csrf_token %}<b>x</b></form>'
    for other in (
        form,
        "{% load i18n %}" + form.replace("post", "get"),
        "{% load i18n %}" + form.replace('post"', 'post" action="https://x.example"'),
        "{% load i18n %}" + form.replace("<b>", "{% csrf_token %}<b>"),
    ):
        assert html_page.KIND.weaknesses(other) == ()


def test_an_unquoted_variable_is_quoted() -> None:
    """In a tag, and nowhere else."""
    text = "<p>a={{ b }}</p><input value={{ b|c }} x={{d}}>"
    found = html_page.KIND.weaknesses(text)
    assert [w.check for w in found] == ["unquoted-variable"] * 2
    (way,) = html_page.KIND.mends["unquoted-variable"](text, found[0])
    assert way.after == '<p>a={{ b }}</p><input value="{{ b|c }}" x={{d}}>'
