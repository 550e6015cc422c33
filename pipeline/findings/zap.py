"""OWASP ZAP's traditional JSON report, versions 2.7 to 2.17."""

import html
import re
from typing import Any

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.document import Document
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.model import Category, Finding, Place, Severity
from secdaemon.pipeline.findings.shape import line, mapping, mappings, sequence, text, unique, word

TOOL = "zap"
_RISKS = {"0": Severity.INFO, "1": Severity.LOW, "2": Severity.MEDIUM, "3": Severity.HIGH}
_CONFIDENCES = {"1": "low", "2": "medium", "3": "high", "4": "confirmed"}
_FALSE_POSITIVE = "0"
_MAX_INSTANCES = 500
_TAG = re.compile(r"<[^<>]{0,500}>")
_BREAK = re.compile(r"</?(?:p|br|li|div)\s*/?>", re.IGNORECASE)


def recognise(document: Document) -> bool:
    """Sites, beside the marks that ZAP's report carries in every version."""
    return document.has("site") and any(name.startswith("@") for name in document.members)


def parse(document: Document, gather: Gatherer) -> Results:
    """Every alert of every site; its instances are places of one finding."""
    gather.scanned_by(TOOL)
    version = word(document.value("@version"))
    sites = document.value("site")
    for position, site in enumerate(_several(sites)):
        name = text(mapping(site).get("@name"))

        def read(alert: dict[str, Any], pointer: str, name: str | None = name) -> Finding:
            return _finding(alert, pointer, name, version, gather)

        for place, alert in enumerate(_several(mapping(site).get("alerts"))):
            gather.one(alert, f"/site/{position}/alerts/{place}", read)
    return gather.results()


def _finding(
    alert: dict[str, Any], pointer: str, site: str | None, version: str | None, gather: Gatherer
) -> Finding:
    name = text(alert.get("alert")) or text(alert.get("name"))
    rule = word(alert.get("alertRef")) or word(alert.get("pluginid"))
    if not name and not rule:
        msg = "it has neither a name nor a plugin id"
        raise UnusableError(msg)
    native_places = mappings(_several(alert.get("instances")))[:_MAX_INSTANCES]
    instances = tuple(_place(instance, site) for instance in native_places)
    first = instances[0] if instances else Place(target=site, url=site)
    risk, weakness = word(alert.get("riskcode")) or "", line(alert.get("cweid"))
    confidence = word(alert.get("confidence"))
    native = text(alert.get("riskdesc"))
    return Finding(
        tool=TOOL,
        tool_version=version,
        rule=rule or name or "",
        rule_name=name,
        severity=_RISKS.get(risk) or severity.from_word((native or "").split(" ")[0]),
        native_severity=native,
        confidence=_CONFIDENCES.get(confidence or ""),
        message=plain(alert.get("desc")) or name or "",
        help=plain(alert.get("solution")),
        references=unique((plain(alert.get("reference")) or "").split()),
        category=Category.WEB,
        cwes=(f"CWE-{weakness}",) if weakness else (),
        target=site,
        url=first.url,
        method=first.method,
        parameter=first.parameter,
        attack=first.attack,
        evidence=first.evidence,
        places=instances[1:],
        suppression="marked as a false positive" if confidence == _FALSE_POSITIVE else None,
        sources=gather.source(pointer, TOOL),
    )


def _several(value: Any) -> list[Any]:
    """The items of a list; 2.7, whose JSON is made of its XML, writes a single one bare."""
    return [value] if isinstance(value, dict) else sequence(value)


def _place(instance: dict[str, Any], site: str | None) -> Place:
    return Place(
        target=site,
        url=text(instance.get("uri")),
        method=text(instance.get("method")),
        parameter=text(instance.get("param")),
        attack=text(instance.get("attack")),
        evidence=text(instance.get("evidence")),
    )


def plain(value: Any) -> str | None:
    """The text of ZAP's HTML: paragraphs as lines, other tags gone, entities resolved once."""
    found = text(value)
    if not found:
        return None
    bare = html.unescape(_TAG.sub("", _BREAK.sub("\n", found)))
    return "\n".join(part for ln in bare.splitlines() if (part := ln.strip())) or None
