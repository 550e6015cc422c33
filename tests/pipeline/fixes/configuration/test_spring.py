"""Spring Boot's settings in YAML and in properties."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.fixes.configuration import choose
from secdaemon.pipeline.fixes.configuration.spring import KIND
from secdaemon.pipeline.fixes.model import Flagged

YAML = """\
# What every environment shares.
spring:
  application.name: lamps
  h2:
    console:
      enabled: true   # for the demo
server:
  error:
    include-stacktrace: always
  servlet.session.cookie:
    secure: false
    http-only: "false"
management:
  endpoints:
    web:
      exposure:
        include: "*"
"""
PROPERTIES = """\
# What every environment shares.
spring.application.name=lamps
spring.h2.console.enabled = true
server.error.includeStacktrace=on_param
server.servlet.session.cookie.http-only=false
management.endpoints.web.exposure.include=health, env,info,heapdump
"""


@pytest.mark.parametrize("text", [YAML, PROPERTIES], ids=["yaml", "properties"])
def test_each_weakness_is_mended_on_its_line(text: str) -> None:
    """One line changes for each, and all of them together leave none."""
    found = KIND.weaknesses(text)
    assert len(found) == len({w.check for w in found}) == (5 if text == YAML else 4)
    whole = text
    for weakness in found:
        (way,) = KIND.mends[weakness.check](text, weakness)
        pairs = zip(text.split("\n"), way.after.split("\n"), strict=True)
        changed = [at for at, (old, new) in enumerate(pairs, 1) if old != new]
        assert changed == [weakness.line]
        assert KIND.mends[weakness.check](way.after, weakness) == ()
        whole = KIND.mends[weakness.check](whole, weakness)[0].after
    assert KIND.weaknesses(whole) == ()


def test_the_comment_behind_a_value_stays() -> None:
    """Only the value itself is written anew."""
    weakness = next(w for w in KIND.weaknesses(YAML) if w.check == "database-console")
    (way,) = KIND.mends["database-console"](YAML, weakness)
    assert "      enabled: false   # for the demo\n" in way.after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"*"', "health"),
        ("health,info", None),
        ("health,env,info", "health,info"),
        ('"health,heapdump"', "health"),
        ('[health, "*"]', None),
        ("\n      - health\n      - env", "\n      - health"),
        ("\n      - health\n      - info", None),
        ("${EXPOSED}", None),
    ],
)
def test_what_the_actuator_serves(before: str, after: str | None) -> None:
    """All, or what tells, gives way to what is left, and to health where nothing is."""
    text = f"management.endpoints.web:\n    exposure.include: {before}\n"
    found = KIND.weaknesses(text)
    if after is None:
        assert [way for w in found for way in KIND.mends[w.check](text, w)] == []
    else:
        (way,) = KIND.mends["actuator-exposed"](text, found[0])
        assert yaml.safe_load(way.after) == yaml.safe_load(text.replace(before, after))


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("src/main/resources/application.yml", True),
        ("config/application-prod.yaml", True),
        ("bootstrap.yml", True),
        ("src/main/resources/application-dev.yml", False),
        ("application-local.yml", False),
        ("src/main/resources/messages.yml", False),
    ],
)
def test_what_runs_at_the_desk_is_not_judged(path: str, known: bool) -> None:
    """Profiles of developers and of tests may show what they like."""
    assert KIND.recognises(path, YAML) is known


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("java.spring.security.audit.spring-actuator-fully-enabled-yaml.spring-actuator-fully-enabled-yaml", "application.yml", YAML),
        ("java.spring.security.audit.spring-actuator-dangerous-endpoints-enabled.spring-actuator-dangerous-endpoints-enabled", "application.properties", PROPERTIES),
    ],
)  # fmt: skip
def test_rules_of_semgrep_lead_to_the_fix(rule: str, path: str, text: str) -> None:
    """The flagged line is mended and the score rises."""
    line = text[: text.index("include:" if path.endswith("yml") else "exposure")].count("\n") + 1
    finding = Finding(
        tool="Semgrep",
        rule=rule,
        severity=Severity.HIGH,
        message="",
        category=Category.CODE,
        line=line,
    )
    (fix,) = choose.fixes_for(
        finding, Flagged(path=path, text=text, line=line, end_line=None, whole=True)
    )
    before, after = (choose.security_score(path, t) for t in (text, fix.after))
    assert before is not None
    assert after is not None
    assert before < after


@given(st.text(alphabet=st.sampled_from("abm.=:-\n #\\\"'*[]{}&<"), max_size=60))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a file, it is read or not."""
    KIND.recognises("application.yml", text)
    for weakness in KIND.weaknesses(f"management.endpoints.web.exposure.include=*\n{text}"):
        KIND.mends[weakness.check](text, weakness)
