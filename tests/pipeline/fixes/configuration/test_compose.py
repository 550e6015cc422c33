"""What services may do on their host, and which of their values are secrets."""

import textwrap

import pytest

from secdaemon.pipeline.fixes.configuration.compose import KIND


def compose(service: str) -> str:
    """Return a Compose file with one service."""
    return f"services:\n  s:\n{textwrap.indent(service, '    ')}\n"


def mended(text: str, check: str) -> list[str]:
    """Return the ways to mend a check's first weakness."""
    weakness = next((w for w in KIND.weaknesses(text) if w.check == check), None)
    return [] if weakness is None else [w.after for w in KIND.mends[check](text, weakness)]


@pytest.mark.parametrize(
    ("check", "before", "after"),
    [
        ("privileged", "image: a\nprivileged: true", "image: a"),
        (
            "privileged",
            "extends: {file: b.yml, service: s}\nimage: a\nprivileged: true",
            "extends: {file: b.yml, service: s}\nimage: a\nprivileged: false",
        ),
        ("all-capabilities", "image: a\ncap_add: [ALL]", "image: a"),
        ("host-namespace", "image: a\npid: host", "image: a"),
        (
            "host-namespace",
            'image: a\nports: ["1:1"]\nnetwork_mode: host',
            'image: a\nports: ["1:1"]',
        ),
        ("unconfined", "image: a\nsecurity_opt: [seccomp:unconfined]", "image: a"),
        ("new-privileges", "image: a", "image: a\nsecurity_opt:\n  - no-new-privileges:true"),
        ("writable-root", "image: a", "image: a\nread_only: true\ntmpfs:\n  - /tmp"),
        (
            "literal-password",
            "image: a\nenvironment: {DB_PASSWORD: x}",
            'image: a\nenvironment: {DB_PASSWORD: "${DB_PASSWORD:?}"}',
        ),
        (
            "literal-password",
            "image: a\nenvironment:\n  DB_PASSWORD: 'x y'",
            "image: a\nenvironment:\n  DB_PASSWORD: ${DB_PASSWORD:?}",
        ),
        (
            "literal-password",
            "image: a\nenvironment:\n  - API_KEY=x",
            "image: a\nenvironment:\n  - API_KEY=${API_KEY:?}",
        ),
        (
            "open-database-port",
            'image: mysql:8\nports:\n  - "3306:3306"',
            'image: mysql:8\nports:\n  - "127.0.0.1:3306:3306"',
        ),
    ],
)
def test_services_are_mended(check: str, before: str, after: str) -> None:
    """A service loses what it should not have, or gets what it lacks; values go outside."""
    assert mended(compose(before), check) == [compose(after)]


@pytest.mark.parametrize(
    ("check", "service"),
    [
        ("docker-socket", "image: a\nvolumes: ['/var/run/docker.sock:/s']"),
        ("host-namespace", "image: a\nnetwork_mode: host"),
        ("host-namespace", "image: prom/node-exporter\npid: host"),
        ("host-namespace", "extends: {file: b.yml, service: s}\nimage: a\npid: host"),
        ("privileged", "image: docker:27-dind\nprivileged: true"),
        ("all-capabilities", "image: a\ncap_add: [ALL, NET_ADMIN]"),
        ("writable-root", "image: postgres:16"),
        ("writable-root", "build: ."),
    ],
)
def test_what_may_be_needed_is_left_alone(check: str, service: str) -> None:
    """A weakness is seen; without knowing more there is no fix."""
    text = compose(service)
    (weakness,) = [w for w in KIND.weaknesses(text) if w.check == check]
    mend = KIND.mends.get(check)
    assert mend is None or mend(text, weakness) == ()


@pytest.mark.parametrize(
    ("check", "service"),
    [
        ("literal-password", "image: a\nenvironment:\n  DB_PASSWORD: ${DB_PASSWORD}"),
        ("literal-password", "image: a\nenvironment: [DB_PASSWORD]"),
        ("literal-password", "image: a\nenvironment: {DB_PASSWORD_FILE: /run/secrets/db}"),
        ("literal-password", "image: a\nenvironment: {MYSQL_ALLOW_EMPTY_PASSWORD: 'yes'}"),
        ("open-database-port", "image: web:1\nports: ['8080:8080']"),
        ("open-database-port", "image: mysql:8\nports: ['127.0.0.1:3306:3306']"),
        ("new-privileges", "image: a\nsecurity_opt: ['no-new-privileges=true']"),
        ("privileged", "image: a\nprivileged: false"),
    ],
)
def test_what_is_right_is_no_weakness(check: str, service: str) -> None:
    """References, files, loopback and settings that are there already are fine."""
    assert check not in {weakness.check for weakness in KIND.weaknesses(compose(service))}


def test_merged_settings_count() -> None:
    """What `<<` brings is there, and is not written again."""
    text = (
        "x: &x {security_opt: [no-new-privileges:true], read_only: true}\n"
        "services:\n  s:\n    <<: *x\n    image: a\n"
    )
    assert KIND.weaknesses(text) == ()


@pytest.mark.parametrize(
    "text",
    ["services: {}", "services: [a]", "services: {a: {name: b}}", "a: b", "services:\n  a: 1\n"],
)
def test_what_is_no_compose_file(text: str) -> None:
    """Services without an image are something else."""
    assert not KIND.recognises("compose.yml", text)
