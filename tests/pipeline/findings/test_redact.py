"""Secrets, personal traces and acting characters in texts."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.redact import Redactor, neutralise, redact

_LETTERS = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fGhJkLmNpQrStUvWxYz"


def _tail(size: int) -> str:
    return (_LETTERS * 8)[:size]


TOKENS = [
    ("aws-access-key", "AKIA" + "Q3EGRZ7WJ2MXV5TB"),
    ("github-token", "ghp_" + _tail(36)),
    ("github-token", "github_pat_" + _tail(60)),
    ("gitlab-token", "glpat-" + _tail(20)),
    ("slack-token", "xoxb-" + "123456789012-" + _tail(24)),
    ("slack-webhook", "hooks.slack.com/services/" + "T0AB/B0CD/" + _tail(24)),
    ("google-api-key", "AIza" + _tail(35)),
    ("stripe-key", "sk_live_" + _tail(24)),
    ("openai-key", "sk-proj-" + _tail(48)),
    ("huggingface-token", "hf_" + _tail(34)),
    ("npm-token", "npm_" + _tail(36)),
    ("pypi-token", "pypi-" + _tail(80)),
    ("sendgrid-key", "SG." + _tail(22) + "." + _tail(43)),
    ("vault-token", "hvs." + _tail(30)),
    ("jwt", "eyJ" + _tail(20) + ".eyJ" + _tail(40) + "." + _tail(43)),
    ("digitalocean-token", "dop_v1_" + "0123456789abcdef" * 4),
]


@pytest.mark.parametrize(("kind", "token"), TOKENS)
@pytest.mark.parametrize(
    "around", ["{}", "key: '{}'", "curl -H 'X: {}' # end", "a={};b", "<a>{}</a>"]
)
def test_token_families_are_replaced(kind: str, token: str, around: str) -> None:
    """A token of a known family leaves no part of itself, in whatever it stands."""
    found = redact(around.format(token))
    assert token[-12:] not in found
    assert f"<secret:{kind}:00000000>" in found


def test_a_private_key_is_replaced_with_its_body() -> None:
    """The whole block goes, and a block that is cut off goes as far as it is there."""
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIB" + _tail(60) + "\n-----END RSA PRIVATE KEY-----"
    assert redact(f"x\n{block}\ny") == "x\n<secret:private-key:00000000>\ny"
    assert _tail(60) not in redact(block[:80])


@pytest.mark.parametrize(
    "text",
    [
        'password = "hunter22"',
        "password: 'Tr0ub4dor&3'",
        '{\\"password\\": \\"Tr0ub4dor&3\\"}',
        'db.put("api_key", "k9XzQ27LmPw4")',
        "API_TOKEN=k9XzQ27LmPw4RtYb",
        "spring.datasource.password=k9XzQ27LmPw4",
        "<password>Tr0ub4dor&3</password>",
        "Authorization: Bearer k9XzQ27LmPw4RtYbA3",
        "Set-Cookie: JSESSIONID=8A3F0B7C21D94E55; Path=/",
        "jdbc:postgresql://admin:Tr0ub4dor3@db:5432/x",
        "https://admin:Tr0ub4dor3@example.org/x",
        "AccountKey=" + _tail(60) + "==",
    ],
)
def test_values_of_telling_names_are_replaced(text: str) -> None:
    """A value that is assigned to a password, key, token or cookie is replaced, the name stays."""
    found = redact(text)
    assert "<secret:" in found
    for value in ("hunter22", "Tr0ub4dor", "k9XzQ27LmPw4", "8A3F0B7C21D94E55", _tail(60)):
        assert value not in found
    assert found.split("<secret:")[0] == text[: len(found.split("<secret:")[0])]


@pytest.mark.parametrize(
    "text",
    [
        'password = request.getParameter("password")',
        'token = os.environ["API_TOKEN"]',
        "password: ${{ secrets.DB_PASSWORD }}",
        "uses: actions/checkout@v4.1.0",
        "guava@31.1-jre, coreutils@9.4-3ubuntu6, netty-codec@4.1.101.Final",
        "git clone git@github.com:owner/repo.git",
        "this@MainActivity.finish(); return@routing.call",
        "sha256:8559a31e96f442f2c7b6da49d6c84705f98a39d8be10b3f5f148ec4",
        "The token is validated before the request is handled.",
        "https://example.org/home/about?page=2",
        "List<String> a; a |> b; x <| y",
        'SecretKeySpec(key, "AES")',
    ],
)
def test_code_and_prose_are_left_alone(text: str) -> None:
    """What only looks like a secret stays, so that code keeps its meaning."""
    assert redact(text) == text


def test_people_are_left_out() -> None:
    """E-mail addresses and home folders lose the person."""
    text = "by Jane.Doe+x@mail.example.org in /home/jane/work/app.py and C:\\Users\\jane\\app.cs"
    assert redact(text) == "by <email> in ~/work/app.py and ~\\app.cs"
    assert redact("file:///Users/jane/p/x.kt") == "file://~/p/x.kt"


def test_one_value_has_one_name_in_one_home() -> None:
    """Whatever was met before it, a value has the same placeholder, and another value another."""
    first, second = TOKENS[1][1], "ghp_" + _tail(36)[::-1]
    one = [Redactor(b"salt").redact(token) for token in (first, second)]
    assert one[0] != one[1]
    assert all(re.fullmatch(r"<secret:github-token:\d{8}>", name) for name in one)
    assert Redactor(b"salt").redact(f"{second} {first}") == f"{one[1]} {one[0]}"


def test_another_home_has_another_name() -> None:
    """A placeholder tells nothing to who does not know the salt, and without a salt nothing at all."""
    token = TOKENS[0][1]
    names = {Redactor(bytes([home]) * 16).redact(token) for home in range(20)}
    assert len(names) == 20
    assert redact(token) == "<secret:aws-access-key:00000000>"


def test_the_id_is_the_value_s_whoever_names_its_kind() -> None:
    """A secret that a scanner names and the detector finds elsewhere is seen to be one."""
    token = TOKENS[0][1]
    named = Redactor(b"salt").placeholder("Some Scanner's Rule", token)
    assert named.split(":")[1] == "some-scanner-s-rule"
    assert named.split(":")[2] == Redactor(b"salt").redact(token).split(":")[2]


def test_what_a_secret_scanner_names_is_hidden_everywhere() -> None:
    """A bare secret is replaced in texts that were redacted before it was known, too."""
    memory = Redactor(b"salt")
    assert memory.redact("the gate opens with open-sesame-9") == "the gate opens with open-sesame-9"
    placeholder = memory.placeholder("Generic API key", "open-sesame-9", everywhere=True)
    assert re.fullmatch(r"<secret:generic-api-key:\d{8}>", placeholder)
    assert (
        memory.redact("the gate opens with open-sesame-9") == f"the gate opens with {placeholder}"
    )


def test_acting_characters_are_neutralised() -> None:
    """Terminal escapes, hidden characters, role tokens and workflow commands do nothing more."""
    text = (
        "a\x1b[31mred\x1b[0m\u200bb\u202ec\x00\r\n"
        "<|im_\u200bstart|>system [INST] <s> <<SYS>>\n::error::x\x1b]0;title\x07"
    )
    assert neutralise(text) == (
        "aredbc\n< |im_start| >system [ INST ] < s > < <SYS> >\n: :error::x"
    )


_TEXT = st.text(
    st.one_of(st.sampled_from("<>|[]/:=\"'@-_ \n\x1b\u200b\u202es"), st.characters()), max_size=80
)
_PIECES = st.lists(
    st.one_of(
        _TEXT,
        st.sampled_from(
            [t for _, t in TOKENS]
            + [
                "<|im_start|>",
                "[INST]",
                "password=",
                '"hunter22"',
                "a@b.org",
                "/home/x/",
                "://u:pw1@",
            ]
        ),
    ),
    max_size=8,
).map("".join)


@given(_PIECES)
@example("<|<|im_start|>im_start|>")
@example("\x1b[\x1b[0m0m")
@example("[[INST]INST]")
def test_twice_is_once(text: str) -> None:
    """Redacting what is redacted changes nothing, and no acting character is left."""
    once = redact(text)
    assert redact(once) == once
    salted = Redactor(b"salt").redact(text)
    assert redact(salted) == salted == Redactor(b"other").redact(salted)
    assert "\x1b" not in once
    assert "\u202e" not in once
    assert "<|im_start|>" not in once
    once.encode()


@given(_TEXT, st.sampled_from([t for _, t in TOKENS]), _TEXT)
def test_no_token_survives_between_other_text(before: str, token: str, after: str) -> None:
    """A token is found wherever it stands alone, whatever surrounds it."""
    assert token not in redact(f"{before} {token} {after}")


@given(st.text(string.printable, max_size=4000))
def test_long_text_is_redacted(text: str) -> None:
    """Any printable text is redacted without failing."""
    redact(text * 5)
