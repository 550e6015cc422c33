"""Why flagged code is right as it is, for broad rules that cannot see it themselves.

A sentence is given only where the code itself shows what the rule asks for, or shows that the
flagged lines do nothing that the rule is about.
"""

import re
from collections.abc import Callable

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.flagged_code import Site
from secdaemon.pipeline.fixes.patterns.jvm_nonces import fresh_nonce
from secdaemon.pipeline.fixes.patterns.lasting import expires
from secdaemon.pipeline.fixes.patterns.no_verdict import no_verdict
from secdaemon.pipeline.fixes.patterns.reading import MAX_CHARS, read_code
from secdaemon.pipeline.fixes.patterns.webauthn_code import LANGUAGES
from secdaemon.pipeline.fixes.rule_families import words_of

_CHECKS: tuple[tuple[re.Pattern[str], Callable[[Site], str | None]], ...] = (
    (re.compile(r"gcm|nonce-?reus|iv-?reus|static-iv"), fresh_nonce),
    (re.compile(r"challenge.*(expir|storage|ttl|timeout)"), expires),
    (re.compile(r"(webauthn|fido2?|passkey).*(bypass|validation)"), no_verdict),
)


def sound(finding: Finding, flagged: Flagged) -> str | None:
    """Return why the flagged code is not weak, in one sentence with its evidence; else None.

    Never raises; None wherever it is not certain.
    """
    rule = words_of(finding.rule, finding.rule_name)
    checks = [check for asked, check in _CHECKS if asked.search(rule)]
    if not checks or flagged.line is None or len(flagged.text) > MAX_CHARS:
        return None
    grammar = grammars.grammar_at(flagged.path, flagged.text)
    if grammar not in LANGUAGES:
        return None
    code = read_code(grammar, flagged.text, whole=flagged.whole)
    if code is None:
        return None
    site = Site(code, flagged)
    return next((said for check in checks if (said := check(site))), None)
