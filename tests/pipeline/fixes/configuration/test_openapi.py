"""OpenAPI: what is required of callers, in JSON and in YAML, and where nothing is invented."""

import json

import pytest
import yaml

from secdaemon.pipeline.fixes.configuration.model import Repair
from secdaemon.pipeline.fixes.configuration.openapi import KIND


def described(extra: str = "", *, schemes: str = "", paths: str = "/items: {get: {}}") -> str:
    """Return a description of version 3.0 in YAML."""
    components = f"components:\n  securitySchemes:\n{schemes}" if schemes else ""
    return (
        f"openapi: 3.0.1\ninfo: {{title: t, version: '1'}}\n{extra}paths:\n  {paths}\n{components}"
    )


_KEY = "    key: {type: apiKey, in: header, name: K}\n"
_TOKEN = "    token: {type: http, scheme: bearer}\n"


def ways(text: str, check: str) -> tuple[Repair, ...]:
    """Return the ways to mend the first weakness of a check, () where there is no mend."""
    weakness = next(w for w in KIND.weaknesses(text) if w.check == check)
    return KIND.mends[check](text, weakness) if check in KIND.mends else ()


def checks(text: str) -> set[str]:
    """Return the checks that find something."""
    return {weakness.check for weakness in KIND.weaknesses(text)}


def test_one_scheme_is_required_of_all() -> None:
    """The only declared scheme is asked of every operation, above the paths."""
    (way,) = ways(described(schemes=_KEY), "global-security")
    assert yaml.safe_load(way.after)["security"] == [{"key": []}]
    assert way.after.index("security:") < way.after.index("paths:")
    assert "`key`" in way.reason


def test_several_schemes_are_choices() -> None:
    """Each declared scheme gives a document of its own."""
    found = ways(described(schemes=_KEY + _TOKEN), "global-security")
    assert [way.choice for way in found] == ["by the scheme `key`", "by the scheme `token`"]
    assert [yaml.safe_load(w.after)["security"] for w in found] == [[{"key": []}], [{"token": []}]]


def test_the_scheme_in_use_is_no_choice() -> None:
    """Where operations use one of several schemes, that is the one."""
    text = described(schemes=_KEY + _TOKEN, paths="/a: {get: {security: [{token: []}]}, put: {}}")
    (way,) = ways(text, "global-security")
    assert yaml.safe_load(way.after)["security"] == [{"token": []}]


def test_no_scheme_is_invented() -> None:
    """Without a declared scheme there is a weakness and no fix."""
    assert "global-security" in checks(described())
    assert ways(described(), "global-security") == ()
    assert ways(described(), "open-operation") == ()


def test_what_precedes_a_sign_in_stays_open() -> None:
    """A requirement for all is not one for the sign-in and for probes."""
    paths = "/login: {post: {responses: {}}}\n  /healthz: {get: {responses: {}}}\n  /a: {get: {}}"
    (way,) = ways(described(schemes=_KEY, paths=paths), "global-security")
    after = yaml.safe_load(way.after)["paths"]
    assert after["/login"]["post"]["security"] == after["/healthz"]["get"]["security"] == []
    assert after["/a"] == {"get": {}}
    assert not {"global-security", "open-operation"} & checks(way.after)


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/orders", True),
        ("/orders/{id}", True),
        ("/login", False),
        ("/oauth2/token", False),
        ("/.well-known/openid-configuration", False),
        ("/webauthn/register/begin", False),
        ("/health", False),
        ("/healthcare", True),
        ("/tokens-of-love", True),
    ],
)
def test_an_empty_list_opens_an_operation(path: str, is_open: bool) -> None:
    """It is a weakness unless the path says that anyone may call; without it the rest holds."""
    text = described(
        "security:\n  - key: []\n",
        schemes=_KEY,
        paths=f"{path}:\n    post:\n      summary: x\n      security: []  # none\n",
    )
    assert ("open-operation" in checks(text)) is is_open
    if is_open:
        (way,) = ways(text, "open-operation")
        assert way.after == text.replace("      security: []  # none\n", "")


@pytest.mark.parametrize(
    ("url", "mended"),
    [
        ("http://a.example/v1", "https://a.example/v1"),
        ("ws://a.example", "wss://a.example"),
        ("http://localhost:8080", None),
        ("http://10.1.2.3", None),
        ("http://{host}/v1", None),
        ("https://a.example", None),
        ("/v1", None),
    ],
)
def test_servers_of_other_machines_have_tls(url: str, mended: str | None) -> None:
    """A server that is not on the own desk is called over TLS."""
    text = described(f"servers:\n  - url: '{url}'\n")
    assert ("cleartext-address" in checks(text)) is (mended is not None)
    if mended:
        (way,) = ways(text, "cleartext-address")
        assert way.after == text.replace(url, mended)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[http]", "[https]"),
        ("[http, https]", "[https]"),
        ("[https, http, ws]", "[https, wss]"),
        ('["http"]', '["https"]'),
    ],
)
def test_protocols_of_version_2(before: str, after: str) -> None:
    """The protocol in the clear goes where its twin is offered, and becomes it where not."""
    text = f"swagger: '2.0'\nschemes: {before}\nhost: a.example\npaths: {{}}\n"
    (way,) = ways(text, "cleartext-address")
    assert way.after == text.replace(before, after)


def test_scopes_of_what_has_none() -> None:
    """Scopes of a key are dropped; since 3.1 they are roles and stay; an OAuth scheme has them."""
    paths = "/a: {get: {security: [{key: [read]}]}}"
    text = described(schemes=_KEY, paths=paths)
    (way,) = ways(text, "stray-scopes")
    assert "security: [{key: []}]" in way.after
    assert "stray-scopes" not in checks(text.replace("3.0.1", "3.1.0"))
    oauth = "    key: {type: oauth2, flows: {}}\n"
    assert "stray-scopes" not in checks(described(schemes=oauth, paths=paths))


def test_the_bound_of_an_array_is_not_guessed() -> None:
    """An array is bounded where its items are different ones of known words, else told alone."""
    array = "type: array, items: {type: string, enum: [a, b, c]}"
    paths = f"/a: {{get: {{responses: {{'200': {{schema: {{{array}, uniqueItems: true}}}}}}}}}}"
    (way,) = ways(described(paths=paths), "unbounded-array")
    assert "maxItems: 3" in way.after
    assert ways(described(paths=paths.replace(", uniqueItems: true", "")), "unbounded-array") == ()


@pytest.mark.parametrize(
    ("scheme", "check"),
    [
        ("{type: http, scheme: Basic}", "basic-authentication"),
        ("{type: apiKey, in: query, name: k}", "key-in-address"),
        ("{type: oauth2, flows: {implicit: {}}}", "implicit-flow"),
        ("{type: oauth2, flows: {password: {}}}", "password-flow"),
    ],
)
def test_weak_schemes_are_told_and_not_mended(scheme: str, check: str) -> None:
    """What the server has to change first is no edit of the description."""
    text = described(schemes=f"    s: {scheme}\n")
    assert check in checks(text)
    assert ways(text, check) == ()


def test_json_and_yaml_are_mended_alike() -> None:
    """The same description in both languages says the same after each repair."""
    paths = "/a: {get: {responses: {}}, post: {security: []}}"
    text = described("servers: [{url: 'http://a.example'}]\n", schemes=_KEY, paths=paths)
    twin = json.dumps(yaml.safe_load(text), indent=2)
    for mine, other in zip(KIND.weaknesses(text), KIND.weaknesses(twin), strict=True):
        assert (mine.check, mine.where) == (other.check, other.where)
        ours, theirs = (KIND.mends[w.check](t, w) for t, w in ((text, mine), (twin, other)))
        assert [yaml.safe_load(way.after) for way in ours] == [json.loads(w.after) for w in theirs]
        assert ours


@pytest.mark.parametrize(
    "text",
    ["openapi: 3.0.0\n", "openapi: {a: 1}\npaths: {}\n", "openapi: 4.0\npaths: {}\n", "{}", "paths: {}\n",
     "openapi: 3.0.0\npaths: {}\n---\nb: 1\n"],
)  # fmt: skip
def test_what_is_no_description_is_not_recognised(text: str) -> None:
    """Without a known version and paths, and with a second document, it is another kind of file."""
    assert not KIND.recognises("a.yaml", text)


def test_aliases_are_left_alone() -> None:
    """What is shared through an anchor is not edited, and nested anchors are not expanded."""
    shared = described(schemes=_KEY, paths="/a: {get: &g {security: []}, put: *g}")
    for weakness in KIND.weaknesses(shared):
        for way in KIND.mends[weakness.check](shared, weakness):
            assert "*g" in way.after
    laughs = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert KIND.weaknesses(f"x0: &x0 [a]\n{laughs}" + described())
