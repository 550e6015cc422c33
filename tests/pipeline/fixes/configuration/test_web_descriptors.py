"""Android's network configuration and web.xml: what is weak, and in which place it is mended."""

import pytest

from secdaemon.pipeline.fixes.configuration import network_config, web_xml
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair


def network(body: str) -> str:
    """Return a network security configuration."""
    return f"<network-security-config>\n    {body}\n</network-security-config>\n"


def web(body: str, version: str = "4.0") -> str:
    """Return a deployment descriptor."""
    return f'<web-app version="{version}">\n  {body}\n</web-app>\n'


def ways(kind: Kind, text: str, check: str) -> tuple[Repair, ...]:
    """Return the ways to mend the first weakness of a check."""
    weakness = next(w for w in kind.weaknesses(text) if w.check == check)
    return kind.mends[check](text, weakness)


@pytest.mark.parametrize(
    ("domain", "is_weak"),
    [("api.sample.org", True), ("localhost", False), ("10.0.2.2", False), ("192.168.1.4", False),
     ("printer.local", False), ("8.8.8.8", True)],
)  # fmt: skip
def test_cleartext_on_the_own_desk_is_no_weakness(domain: str, is_weak: bool) -> None:
    """A configuration whose hosts are all private may be without TLS."""
    text = network(
        f'<domain-config cleartextTrafficPermitted="true"><domain>{domain}</domain></domain-config>'
    )
    assert bool(network_config.KIND.weaknesses(text)) is is_weak


def test_the_users_certificates_are_for_debug_builds_or_nobody() -> None:
    """Two ways, one with debug-overrides; a configuration that has them needs no choice."""
    body = '<base-config><trust-anchors><certificates src="user"/></trust-anchors></base-config>'
    never, debug = ways(network_config.KIND, network(body), "user-certificates")
    assert never.after == network(body.replace("user", "system"))
    assert debug.after.index("<debug-overrides>") > debug.after.index("</base-config>")
    (only,) = ways(
        network_config.KIND, debug.after.replace("system", "user", 1), "user-certificates"
    )
    assert only.after == debug.after


def test_trust_of_debug_builds_is_no_weakness() -> None:
    """What debug-overrides trusts is trusted by debuggable builds alone."""
    body = '<debug-overrides><trust-anchors><certificates src="user" overridePins="true"/>'
    assert not network_config.KIND.weaknesses(network(f"{body}</trust-anchors></debug-overrides>"))


@pytest.mark.parametrize(
    ("session", "mended"),
    [
        ("", "<session-config>\n        <cookie-config>\n            <http-only>true</http-only>"),
        ("<session-config/>", "<cookie-config>\n      <http-only>true</http-only>"),
        (
            "<session-config><session-timeout>5</session-timeout></session-config>",
            "</session-timeout>\n    <cookie-config>",
        ),
        (
            "<session-config><cookie-config><name>S</name><secure>x</secure></cookie-config></session-config>",
            "<name>S</name>\n",
        ),
        (
            "<session-config><cookie-config><http-only>false</http-only></cookie-config></session-config>",
            "<cookie-config><http-only>true</http-only></cookie-config>",
        ),
    ],
)
def test_the_cookies_flag_stands_in_the_schemas_order(session: str, mended: str) -> None:
    """The flag is added behind what the schema puts before it, or set where it stands."""
    text = web(session)
    (way,) = ways(web_xml.KIND, text, "cookie-http-only")
    assert mended in way.after
    assert "cookie-http-only" not in {w.check for w in web_xml.KIND.weaknesses(way.after)}


@pytest.mark.parametrize("version", ["2.5", "", "x"])
def test_an_older_descriptor_has_no_cookie_config(version: str) -> None:
    """Before 3.0 there is no such element, and without a version none is known."""
    assert not web_xml.KIND.weaknesses(web("", version))


def _constraint(body: str, pattern: str = "/a/*") -> str:
    return (
        "<security-constraint><web-resource-collection>"
        f"<url-pattern>{pattern}</url-pattern><http-method>GET</http-method>"
        f"</web-resource-collection>{body}</security-constraint>"
    )


_ROLE = "<auth-constraint><role-name>r</role-name></auth-constraint>"
_TLS = "<user-data-constraint><transport-guarantee>{}</transport-guarantee></user-data-constraint>"


def test_methods_that_no_constraint_names() -> None:
    """Two ways from 3.1 on; where another constraint has the same path, or before 3.1, one."""
    text = web(_constraint(_ROLE))
    every, denied = ways(web_xml.KIND, text, "uncovered-methods")
    assert "<http-method>" not in every.after
    assert "<deny-uncovered-http-methods/>\n</web-app>" in denied.after
    (only,) = ways(web_xml.KIND, web(_constraint(_ROLE), "3.0"), "uncovered-methods")
    assert "<http-method>" not in only.after
    shared = web(_constraint(_ROLE) + "\n  " + _constraint(_ROLE.replace(">r<", ">s<")))
    (only,) = ways(web_xml.KIND, shared, "uncovered-methods")
    assert "deny-uncovered" in only.after


@pytest.mark.parametrize(
    ("body", "is_weak"),
    [
        (_ROLE, True),
        (_ROLE + _TLS.format("NONE"), True),
        (_ROLE + _TLS.format("CONFIDENTIAL"), False),
        (_ROLE + _TLS.format("INTEGRAL"), False),
        ("<auth-constraint/>", False),
        ("", False),
    ],
)
def test_where_users_sign_in_there_is_tls(body: str, is_weak: bool) -> None:
    """A constraint that asks for a role asks for TLS; one that lets nobody or all in need not."""
    text = web(_constraint(body))
    assert ("plain-transport" in {w.check for w in web_xml.KIND.weaknesses(text)}) is is_weak
    if is_weak:
        (way,) = ways(web_xml.KIND, text, "plain-transport")
        assert way.after.count("CONFIDENTIAL") == 1
        assert way.after.index("auth-constraint>") < way.after.index("<user-data-constraint>")


def test_a_public_identifier_is_read_and_an_entity_is_not() -> None:
    """Old descriptors name a DTD, which is not fetched; one that declares entities is refused."""
    body = web("<servlet><init-param><param-name>listings</param-name>"
               "<param-value>true</param-value></init-param></servlet>")  # fmt: skip
    doctype = (
        '<!DOCTYPE web-app PUBLIC "-//Sun//DTD" "http://java.sun.com/dtd/web-app_2_3.dtd"{}>\n'
    )
    assert web_xml.KIND.recognises("web.xml", doctype.format("") + body)
    hostile = ' [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]'
    assert not web_xml.KIND.recognises("web.xml", doctype.format(hostile) + body)
