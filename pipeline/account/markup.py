"""HTML and SVG elements whose text and attributes are escaped, because nothing else can be made."""

import html

from secdaemon.pipeline.findings.redact import neutralise

_VOID = frozenset({"meta", "br", "hr"})


class Html(str):
    """Markup that is safe to stand in a document; only this module turns text into it."""

    __slots__ = ()


Child = Html | str | int | None


def tag(name: str, *children: Child, **attributes: str | float | None) -> Html:
    """Return an element.

    Text is neutralised and escaped, None is left out. In attribute names a trailing underscore is
    dropped (`class_`) and the others become hyphens; an attribute that is None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Return children one after the other."""
    return Html("".join(_child(child) for child in children if child is not None))


def page(head: Html, body: Html) -> str:
    """Return a whole document in English."""
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def style(sheet: str) -> Html:
    """Return a style element with our own style sheet, as it is.

    Raises:
        ValueError: the sheet could end its element.
    """
    if "<" in sheet:
        msg = "a style sheet must not hold a <"
        raise ValueError(msg)
    return Html(f"<style>{sheet}</style>")


def _child(child: Html | str | int) -> str:
    return child if isinstance(child, Html) else _escape(str(child))


def _escape(text: str) -> str:
    return html.escape(neutralise(text), quote=True)
