"""Ktor: redirects to an address that the request names, kept on this site."""

import re
from collections.abc import Iterator

from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import calls_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import replaced
from secdaemon.pipeline.routes.syntax import text_of

_FROM_REQUEST = re.compile(
    r'(?P<value>call\.(?:request\.(?:queryParameters|rawQueryParameters)|parameters)\["\w+"\])'
    r'(?:!!|\s*\?:\s*(?P<default>"/[\w/.-]*"))?'
)
_LOCAL = 'it.startsWith("/") && !it.startsWith("//") && !it.startsWith("/\\\\") && \'\\t\' !in it'
"""Browsers read a backslash as a slash, two slashes as the beginning of a host, and no tabs: Ktor
lets a tab through in a header, so that a slash, a tab and a slash would be two slashes."""


def _redirects(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, "respondRedirect"):
        target = call.given(0)
        found = _FROM_REQUEST.fullmatch(text_of(target)[:300])
        if target is None or found is None:
            continue
        default = found["default"] or '"/"'
        made = f"{found['value']}?.takeIf {{ {_LOCAL} }} ?: {default}"
        yield Instance(
            call.node,
            (replaced(code, target, made),),
            f"Only a path of this site is a target; any other address becomes `{default}`, so a "
            "link to us cannot lead to somebody else's page.",
        )


PATTERNS = (
    pattern(
        "ktor-open-redirect",
        r".*(open-?redirect|url-?redirect|unvalidated-redirect)",
        (601,),
        ("kotlin",),
        _redirects,
    ),
)
