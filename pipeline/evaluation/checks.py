"""What a generated answer must do beside being like its reference: the checks of the data step.

A check that does not apply to an example (no code in the question, no version to go to) is absent.
White space within lines is ignored throughout.
"""

import re
from collections import Counter

from secdaemon.pipeline.evaluation.blocks import answer_of, blocks, question_blocks
from secdaemon.pipeline.examples import Example

NAMES_WEAKNESS = "names_weakness"
"""It names the CWE that the reference names first."""
RIGHT_VERSION = "right_version"
"""It upgrades the reference's package to the reference's version, the smallest fixed one."""
CHANGES_CODE = "changes_code"
"""Its code is there and is not the question's, echoed."""
WEAKNESS_GONE = "weakness_gone"
"""No line that the reference takes out of the question's code stands in its code."""
HAS_FIX = "has_fix"
"""Every line that the reference puts into the question's code stands in its code."""
KEEPS_CODE = "keeps_code"
"""Every line that the reference leaves as it was stands in its code."""
NAMES = (NAMES_WEAKNESS, RIGHT_VERSION, CHANGES_CODE, WEAKNESS_GONE, HAS_FIX, KEEPS_CODE)

_CWE = re.compile(r"CWE-\d+")
_UPGRADE = re.compile(r"[Uu]pgrade `([^`\n]+)` (?:from `[^`\n]*` )?to `([^`\n]+)`")


def check(example: Example, answer: str) -> dict[str, bool]:
    """Return the checks that apply to an answer to the example, in the order of NAMES."""
    reference = answer_of(example)
    found: dict[str, bool] = {}
    if named := _CWE.search(reference):
        found[NAMES_WEAKNESS] = named[0] in _CWE.findall(answer)
    if upgrade := _UPGRADE.search(reference):
        found[RIGHT_VERSION] = upgrade.groups() in _UPGRADE.findall(answer)
    shown, fixed = question_blocks(example), blocks(reference)
    if shown and fixed:
        given = blocks(answer)
        found |= _code_checks(shown[0].code, fixed[0].code, given[0].code if given else "")
    return found


def _code_checks(shown: str, fixed: str, given: str) -> dict[str, bool]:
    before, after, now = _lines(shown), _lines(fixed), _lines(given)
    removed, added, kept = before - after, after - before, before & after
    found = {CHANGES_CODE: bool(now) and "".join(given.split()) != "".join(shown.split())}
    if removed:
        found[WEAKNESS_GONE] = bool(now) and all(now[line] <= after[line] for line in removed)
    if added:
        found[HAS_FIX] = all(now[line] >= after[line] for line in added)
    if kept:
        found[KEEPS_CODE] = kept <= now
    return found


def _lines(code: str) -> Counter[str]:
    """Return the lines that have something in them, each with how often it stands there."""
    return Counter(squeezed for line in code.splitlines() if (squeezed := "".join(line.split())))
