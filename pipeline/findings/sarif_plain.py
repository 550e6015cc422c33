"""The common shape of a SARIF result, read with as little work as it needs.

Most results of most scans have a rule, a message and one place, and thousands of them share the
rule. What the rule says is read once by `sarif`, the way that any result is read, and kept as a
redacted finding; only message, place, code flow and fingerprints are put in. A result of any
other shape is left to `sarif`. For every result that is not, the finding is the one that `sarif`
would make.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from secdaemon.pipeline.findings.advisory_text import advisory_in
from secdaemon.pipeline.findings.clean import cleaned
from secdaemon.pipeline.findings.document import decoded
from secdaemon.pipeline.findings.gather import Gatherer, UnusableError
from secdaemon.pipeline.findings.identity import squeezed
from secdaemon.pipeline.findings.innocent import is_digest
from secdaemon.pipeline.findings.model import Category, Finding, Source
from secdaemon.pipeline.findings.paths import clean_uri
from secdaemon.pipeline.findings.redact import SHORT
from secdaemon.pipeline.findings.sarif_places import MAX_STEPS, fingerprints
from secdaemon.pipeline.findings.shape import code, text

_REMEMBERED = 4096
_MAX_LINE = 2**31
_ABSENT = msgspec.Raw()
_SAID_BY_FEW = ("rule", "properties", "taxa", "kind", "baseline_state", "suppressions")
_NO_CODE: tuple[str | None, str] = (None, "")
_NO_PRINTS: dict[str, str] = {}
"""One for all: a finding is frozen, and nobody writes into what it holds."""
_HASHES = frozenset(
    {
        "primary",
        "primaryLocationLineHash",
        "primaryLocationStartColumnFingerprint",
        "matchBasedId/v1",
        "contextHash/v1",
        "equalIndicator/v1",
    }
)
_PUT_IN = frozenset({"locations", "codeFlows", "fingerprints", "partialFingerprints"})
_Native = msgspec.Raw
_Template = tuple[Finding, str]


class _Snippet(msgspec.Struct, gc=False):
    text: str = ""


class _Region(msgspec.Struct, gc=False, rename="camel"):
    start_line: int = 0
    end_line: int = 0
    start_column: int = 0
    end_column: int = 0
    snippet: _Snippet | None = None


class _Artifact(msgspec.Struct, gc=False, rename="camel"):
    uri: str
    uri_base_id: str = ""


class _Physical(msgspec.Struct, gc=False, rename="camel"):
    artifact_location: _Artifact
    region: _Region
    context_region: _Native = _ABSENT


class _Location(msgspec.Struct, gc=False, rename="camel"):
    physical_location: _Physical


class _Step(msgspec.Struct, gc=False):
    location: _Location


class _Thread(msgspec.Struct, gc=False):
    locations: tuple[_Step, ...] = ()


class _Flow(msgspec.Struct, gc=False, rename="camel"):
    thread_flows: tuple[_Thread, ...] = ()


class _Message(msgspec.Struct, gc=False):
    text: str
    arguments: tuple[_Native, ...] = ()


class _Result(msgspec.Struct, gc=False, rename="camel"):
    message: _Message
    locations: tuple[_Location]
    rule_id: str = ""
    rule_index: int = -1
    level: str = ""
    fingerprints: dict[str, str] | None = None
    partial_fingerprints: dict[str, str] | None = None
    rule: _Native = _ABSENT
    properties: _Native = _ABSENT
    taxa: _Native = _ABSENT
    kind: _Native = _ABSENT
    baseline_state: _Native = _ABSENT
    suppressions: _Native = _ABSENT
    fixes: tuple[_Native, ...] = ()
    code_flows: tuple[_Flow, ...] = ()


_decode = msgspec.json.Decoder(_Result).decode
_replace = msgspec.structs.replace


class PlainResults:
    """Reads the plain results of one run; what it remembers is bounded."""

    def __init__(
        self, gather: Gatherer, read: Callable[[dict[str, Any], str], Finding], bases: Any
    ) -> None:
        """`read` makes a finding of any result; `bases` are the run's originalUriBaseIds."""
        self._secrets = gather.secrets
        self._knows_secrets = gather.secrets.known > 0
        self._identities = gather.identities
        self._member = gather.member
        self._read = read
        self._bases = bases
        self._templates: dict[Any, _Template | None] = {}
        self._path = lru_cache(_REMEMBERED)(self._read_path)
        self._told = lru_cache(_REMEMBERED)(self._read_message)
        self._code = lru_cache(_REMEMBERED)(self._read_code)

    def finding(self, raw: msgspec.Raw, pointer: str) -> Finding | None:
        """The finished finding of a result; None for one that is not plain."""
        try:
            result = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if result.fixes or result.message.arguments:
            return None
        template = self._template(result, raw)
        return None if template is None else self._placed(result, template, pointer)

    def _placed(self, result: _Result, template: _Template, pointer: str) -> Finding | None:
        """The template with the result's own message, place, flow and fingerprints."""
        place = result.locations[0].physical_location
        region, where = place.region, place.artifact_location
        line, end, start = region.start_line, region.end_column, region.start_column
        native, quoted = result.message.text, region.snippet
        told = self._told(native) if len(native) <= SHORT else self._read_message(native)
        path = self._path(where.uri, where.uri_base_id)
        flow = self._flow(result.code_flows) if result.code_flows else ()
        if told is None or path is None or flow is None:
            return None
        if not 0 < line < _MAX_LINE or (line == end == 1):
            return None
        shown = _NO_CODE
        if quoted is not None and quoted.text:
            read = self._code if len(quoted.text) <= SHORT else self._read_code
            shown = read(quoted.text)
        if shown[0] is None and place.context_region is not _ABSENT:
            return None
        known, begin = template
        content = f"{begin}{path}\n\n\n\n\n{shown[1] or line}\n{told[1]}"
        return _replace(
            known,
            id=self._identities.of(content),
            message=told[0],
            path=path,
            line=line,
            end_line=region.end_line if 0 < region.end_line < _MAX_LINE else line,
            column=start if 0 < start < _MAX_LINE else None,
            end_column=end if 0 < end < _MAX_LINE else None,
            snippet=shown[0],
            flow=flow,
            fingerprints=self._prints(result),
            sources=(Source(self._member, pointer, known.tool),),
        )

    def _template(self, result: _Result, raw: msgspec.Raw) -> _Template | None:
        """What is the same for every result of the rule, level and properties."""
        key: tuple[object, ...] = (result.rule_id, result.rule_index, result.level)
        if not (
            result.rule
            is result.properties
            is result.taxa
            is result.kind
            is result.baseline_state
            is result.suppressions
            is _ABSENT
        ):
            key += tuple(bytes(getattr(result, name)) for name in _SAID_BY_FEW)
        try:
            return self._templates[key]
        except KeyError:
            if len(self._templates) >= _REMEMBERED:
                self._templates.clear()
            if advisory_in(text(result.message.text) or ""):
                return None
            made = self._templates[key] = self._new_template(raw)
            return made

    def _new_template(self, raw: msgspec.Raw) -> _Template | None:
        """The finding of the result without its place; None for one that hides a secret."""
        bare = {key: value for key, value in decoded(raw).items() if key not in _PUT_IN}
        try:
            finding = self._read(bare, "")
        except UnusableError:
            return None
        if finding.category is Category.SECRET or finding.target:
            return None
        clean = cleaned(finding, self._secrets)
        return clean, f"{clean.tool}\n{clean.rule}\n"

    def _read_path(self, uri: str, base: str) -> str | None:
        path = clean_uri(uri, base, self._bases)
        return self._secrets.redact(path) if path else None

    def _read_message(self, native: str) -> tuple[str, str] | None:
        """The message, redacted, and as an id has it; None where it says more than a rule does."""
        found = text(native)
        if found is None or advisory_in(found):
            return None
        clean = self._secrets.redact(found)
        return clean, squeezed(clean)

    def _read_code(self, native: str) -> tuple[str | None, str]:
        found = code(native)
        clean = self._secrets.redact(found) if found else None
        return clean, squeezed(clean)

    def _flow(self, flows: tuple[_Flow, ...]) -> tuple[str, ...] | None:
        """The steps as `sarif_places.code_flow` has them; None where one is in no file."""
        threads = flows[0].thread_flows
        steps: list[str] = []
        for step in threads[0].locations[:MAX_STEPS] if threads else ():
            place = step.location.physical_location
            where, line = place.artifact_location, place.region.start_line
            path = clean_uri(where.uri, where.uri_base_id, self._bases)
            if path is None:
                return None
            name = f"{path}:{line}" if 0 < line < _MAX_LINE else path
            if steps[-1:] != [name]:
                steps.append(name)
        return tuple(self._secrets.redact(step) for step in steps)

    def _prints(self, result: _Result) -> dict[str, str]:
        """The fingerprints; the usual one hash needs no redacting where no secret is known."""
        stated = result.partial_fingerprints
        if result.fingerprints or not stated:
            stated = fingerprints(stated, result.fingerprints)
            if not stated:
                return _NO_PRINTS
        elif not self._knows_secrets and len(stated) == 1:
            ((key, value),) = stated.items()
            if key in _HASHES and is_digest(value):
                return stated
        redact = self._secrets.redact
        return {redact(key): redact(value) for key, value in fingerprints(stated).items()}
