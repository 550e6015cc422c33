"""Words of findings and code as the index knows them, and queries made of nothing but them.

A text from outside never reaches SQLite's query language: a query is built of quoted words, and a
word is letters, digits and underscores.
"""

import re
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.findings.model import Finding

MAX_TERMS = 96
"""Different words of one column that a query asks for, the first ones of the text."""
MAX_CHARS = 8_000
"""Of a text that are read."""

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[^\W\d_a-z]+(?=[^\W\d_a-z][a-z])|[^\W\d_a-z]?[a-z]+|[^\W\d_a-z]+|\d+")
_SHORTEST, _LONGEST = 2, 64


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding is looked up by: words in their order, separated by spaces, by column."""

    rule: str
    """Names: the rule, its CWEs and advisories whole (`cwe_89`) and in words, the package."""
    prose: str
    """The message and the rule's own text."""
    code: str
    """The shown code, identifiers whole."""
    parts: str
    """What the identifiers of the code are made of: `userVerification` is user, verification; and
    what the place is made of."""


COLUMNS = Document.__struct_fields__
WEIGHTS = (4.0, 1.0, 1.0, 0.5)
"""Of the columns in bm25: that two findings are of one rule says more than that texts are alike."""


def document_of(finding: Finding, code: str) -> Document:
    """Return the words of a finding and of the code that is shown of it."""
    named = (finding.rule, *finding.cwes, *finding.aliases)
    package = finding.package.name if finding.package else ""
    names = " ".join((finding.rule, finding.rule_name or "", package))
    where = " ".join(filter(None, (finding.path, finding.target, finding.url)))
    return Document(
        rule=" ".join(filter(None, (*map(whole, (*named, package)), *words(names), *parts(names)))),
        prose=" ".join((*words(finding.message), *words(finding.help or ""))),
        code=" ".join(words(code)),
        parts=" ".join((*parts(code), *words(where), *parts(where))),
    )


def text_of(finding: Finding, code: str) -> str:
    """Return what an embedding model reads of a finding."""
    head = (finding.rule, finding.rule_name or "", *finding.cwes, finding.message)
    return "\n".join((" ".join(head), code))[:MAX_CHARS]


def whole(name: str) -> str:
    """Return a name as one word: `CWE-89` is cwe_89."""
    return re.sub(r"\W+", "_", name[:MAX_CHARS]).strip("_").lower()


def words(text: str) -> Iterator[str]:
    """Yield the words of a text, lower-cased, without single characters and giants."""
    for found in _WORD.finditer(text[:MAX_CHARS]):
        if _SHORTEST <= len(found[0]) <= _LONGEST:
            yield found[0].lower()


def parts(text: str) -> Iterator[str]:
    """Yield what compound identifiers are made of, split at underscores, case and digits."""
    for found in _WORD.finditer(text[:MAX_CHARS]):
        if len(found[0]) > _LONGEST:
            continue
        pieces = _PART.findall(found[0])
        if len(pieces) > 1:
            yield from (piece.lower() for piece in pieces if len(piece) >= _SHORTEST)


def match_of(document: Document) -> str | None:
    """Return the FTS5 query for findings like this one, None where it has no words.

    Each column is asked for its own words; any of them will do.
    """
    asked = []
    for column in COLUMNS:
        different = list(dict.fromkeys(words(getattr(document, column))))[:MAX_TERMS]
        if different:
            any_of = " OR ".join(f'"{word}"' for word in different)
            asked.append(f"{{{column}}} : ({any_of})")
    return " OR ".join(asked) or None
