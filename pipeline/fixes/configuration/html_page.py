"""HTML pages: windows that keep their opener, forms and scripts over plain HTTP, foreign scripts.

The digest of a script on another host cannot be known without fetching it, and what is fetched
today need not be what was reviewed: a missing `integrity` is told, and never made up.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.places import Places
from secdaemon.pipeline.fixes.model import TextEdit, edited
from secdaemon.pipeline.fixes.quote import inline

_MAX_CHARS = 128 * 1024
_MAX_TAGS = 4_000
"""The grammar takes the square of how many stand in one another."""
_OPENING = re.compile(r"<[A-Za-z]")
_TEMPLATE = ("{{", "{%", "<%", "${", "#{", "<?")
_REMOTE = re.compile(r"(?:https?:)?//[^/?#\s\"']+", re.IGNORECASE)
_PLAIN = re.compile(r"http://([^/?#:\s\"']+)", re.IGNORECASE)
_LOCAL = re.compile(r"localhost|127\..*|0\.0\.0\.0|.*\.(local|localhost|test)", re.IGNORECASE)
_LOADED = {"script": "src", "iframe": "src", "link": "href", "form": "action"}
_DIGESTED = {"script": "src", "link": "href"}
_KEEPS_OPENER = {"a": "href", "area": "href", "form": "action"}
_TAGS = frozenset(name.encode() for name in (*_LOADED, *_KEEPS_OPENER))
_GUARDS = frozenset(("noopener", "noreferrer", "opener"))
_OPENING = re.compile(r"<[A-Za-z][^<>]*>")
_UNQUOTED = re.compile(r"\s[\w:.@-]{1,80}=(\{\{[^{}<>\"']*\}\})(?=[\s/>])")
_DJANGO = re.compile(r"\{%-?\s*(load|url|csrf_token|trans|translate|static)\b")
_TOKEN = re.compile(r"csrf", re.IGNORECASE)


class _Attribute(msgspec.Struct, frozen=True):
    """An attribute: its value, and where that is as written, quotes and all."""

    value: str
    start: int
    end: int

    @property
    def is_quoted(self) -> bool:
        """Whether there are quotes around the value."""
        return self.end - self.start > len(self.value)


class _Tag(msgspec.Struct, frozen=True, kw_only=True):
    """An opening tag; offsets are in characters, lines 1-based."""

    name: str
    attributes: dict[str, _Attribute]
    name_end: int
    end: int
    line: int
    end_line: int
    inside: str
    """What the element holds, as written; "" where the tag has no end of its own."""

    def get(self, name: str) -> str:
        """Return an attribute's value, "" where it is missing or empty."""
        found = self.attributes.get(name)
        return found.value.strip() if found else ""


@lru_cache(maxsize=8)
def _tags(text: str) -> tuple[_Tag, ...]:
    """Return the opening tags that lead somewhere, those with an error of grammar left out."""
    if len(text) > _MAX_CHARS or len(_OPENING.findall(text)) > _MAX_TAGS:
        return ()
    at = Places(text).at
    found = []
    for node in grammars.nodes(grammars.parse("html", text)):
        if node.type in {"start_tag", "self_closing_tag"} and not node.has_error:
            tag = _tag(node, text, at)
            found += [tag] if tag else []
    return tuple(found)


def _tag(node: Node, text: str, at: Callable[[int], int]) -> _Tag | None:
    name = next((c for c in node.children if c.type == "tag_name"), None)
    if name is None or (name.text or b"").lower() not in _TAGS:
        return None
    attributes: dict[str, _Attribute] = {}
    for child in node.children:
        if child.type == "attribute":
            key = child.children[0]
            value = child.children[-1] if len(child.children) > 1 else None
            start = at(value.start_byte if value else key.end_byte)
            end = at(value.end_byte if value else key.end_byte)
            label = text[at(key.start_byte) : at(key.end_byte)].lower()
            attributes.setdefault(label, _Attribute(text[start:end].strip("\"'"), start, end))
    parent, end = node.parent, at(node.end_byte)
    return _Tag(
        name=text[at(name.start_byte) : at(name.end_byte)].lower(),
        attributes=attributes,
        name_end=at(name.end_byte),
        end=end,
        line=node.start_point.row + 1,
        end_line=node.end_point.row + 1,
        inside=text[end : at(parent.end_byte)] if parent and parent.type == "element" else "",
    )


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    return tuple(weakness for weakness, _, _ in _found(text))


_Found = tuple[Weakness, _Tag | None, tuple[TextEdit, ...]]


def _found(text: str) -> Iterator[_Found]:
    """Yield each weakness with its tag and the edits that end it, () where none can be made."""
    seen: dict[str, int] = {}
    is_django = _DJANGO.search(text) is not None
    for tag in _tags(text):
        where = f"{tag.name} {_subject(tag)}"
        seen[where] = seen.get(where, 0) + 1
        for check, edits, weight in _of_tag(tag, is_django):
            weakness = Weakness(
                check=check,
                where=f"{where} #{seen[where]}",
                line=tag.line,
                end_line=tag.end_line,
                weight=weight,
            )
            yield weakness, tag, edits
    for weakness, edits in _unquoted(text):
        yield weakness, None, edits


def _subject(tag: _Tag) -> str:
    """Return what a tag leads to, without what our own edits change in it."""
    address = tag.get(_LOADED.get(tag.name, "href"))
    if any(mark in address for mark in _TEMPLATE):
        return "template"
    return re.sub(r"^https?:", "", address[:120])


def _unquoted(text: str) -> Iterator[tuple[Weakness, tuple[TextEdit, ...]]]:
    """Yield the variables of a template that are an attribute's value without quotes."""
    tags = _OPENING.finditer(text) if len(text) <= _MAX_CHARS else ()
    for found in (each for tag in tags for each in _UNQUOTED.finditer(text, *tag.span())):
        line = text.count("\n", 0, found.start(1)) + 1
        number = text.count(found[1], 0, found.end(1))
        weakness = Weakness(
            check="unquoted-variable",
            where=f"{found[1][:80]} #{number}",
            line=line,
            end_line=line,
            weight=0.8,
        )
        yield weakness, (TextEdit(found.start(1), found.end(1), f'"{found[1]}"'),)


def _of_tag(tag: _Tag, is_django: bool) -> Iterator[tuple[str, tuple[TextEdit, ...], float]]:
    if _lets_opener_go(tag):
        yield "opener", (_with_noopener(tag),), 0.2
    address = tag.attributes.get(_LOADED.get(tag.name, ""))
    plain = _PLAIN.match(address.value.strip()) if address else None
    if address and plain and not _LOCAL.fullmatch(plain[1]):
        at = address.start + (len("'http") if address.is_quoted else len("http"))
        yield "plain-address", (TextEdit(at, at, "s"),), 0.7
    digested = tag.get(_DIGESTED.get(tag.name, ""))
    if _REMOTE.match(digested) and "integrity" not in tag.attributes and _is_run(tag):
        yield "missing-integrity", (), 0.3
    if is_django and _needs_token(tag):
        yield "forged-request", (TextEdit(tag.end, tag.end, "{% csrf_token %}"),), 0.9


def _lets_opener_go(tag: _Tag) -> bool:
    """Return whether a link to another site, or to one of a template, opens a window of its own."""
    if tag.get("target").lower() != "_blank" or tag.name not in _KEEPS_OPENER:
        return False
    address = tag.get(_KEEPS_OPENER[tag.name])
    is_elsewhere = _REMOTE.match(address) or any(mark in address for mark in _TEMPLATE)
    words = tag.get("rel").lower()
    is_known = not any(mark in words for mark in _TEMPLATE)
    return bool(is_elsewhere) and is_known and _GUARDS.isdisjoint(words.split())


def _with_noopener(tag: _Tag) -> TextEdit:
    rel, target = tag.attributes.get("rel"), tag.attributes["target"]
    if rel is None:
        return TextEdit(target.end, target.end, ' rel="noopener"')
    if rel.is_quoted:
        word = " noopener" if rel.value.strip() else "noopener"
        return TextEdit(rel.end - 1, rel.end - 1, word)
    words = f"{rel.value} noopener".strip()
    return TextEdit(rel.start, rel.end, f'"{words}"' if rel.value else f'="{words}"')


def _is_run(tag: _Tag) -> bool:
    """Return whether what a tag names is run or applied: a script, a style sheet."""
    return tag.name == "script" or "stylesheet" in tag.get("rel").lower().split()


def _needs_token(tag: _Tag) -> bool:
    """Return whether a form of a Django template posts to its own site without a token."""
    if tag.name != "form" or tag.get("method").lower() != "post" or not tag.inside:
        return False
    return not _REMOTE.match(tag.get("action")) and not _TOKEN.search(tag.inside)


_REASONS = {
    "opener": "With `noopener` the page that opens has no handle on this one, and cannot send it "
    "to an address of its own.",
    "plain-address": "{host} is asked over TLS, where it has to answer, so that nobody on the path "
    "reads or changes what is sent and loaded.",
    "forged-request": "The form sends Django's token with it; a form on another site, which does "
    "not know it, is refused.",
    "unquoted-variable": "Between quotes a value with a space in it can no longer end the "
    "attribute and begin another, such as an event handler.",
}


def _mend(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    for found, tag, edits in _found(text):
        if found == weakness and edits:
            after = edited(text, edits)
            plain = _PLAIN.match(tag.get(_LOADED.get(tag.name, ""))) if tag else None
            host = inline(plain[1], 80) if plain else "The address"
            reason = _REASONS[found.check].format(host=host)
            return (Repair(after=after, reason=reason),) if after else ()
    return ()


def _recognises(path: str, text: str) -> bool:
    is_page = path.lower().endswith((".htm", ".html", ".jinja", ".jinja2", ".j2", ".hbs", ".vue"))
    return is_page and bool(_tags(text))


KIND = Kind(
    name="HTML",
    language="html",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules={
        r"missing-integrity|subresource|untrusted-source|\bS5725\b": "missing-integrity",
        r"noopener|tabnabbing|unsafe-external-link|target-blank|\bS5148\b": "opener",
        r"no-csrf-token|csrf": "forged-request",
        r"unquoted-attribute": "unquoted-variable",
        r"mixed-content|plaintext-http|(form|action).*http\b|\bS5332\b": "plain-address",
    },
    mends=guarded(_weaknesses, dict.fromkeys(_REASONS, _mend)),
)
"""Rules of Semgrep, CodeQL and SonarQube."""
