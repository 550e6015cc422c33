"""What the report's sections are put together from: tables, facts, legends, numbers."""

from collections.abc import Iterable, Sequence

from secdaemon.pipeline.account.charts import Part, bar
from secdaemon.pipeline.account.markup import Child, Html, join, tag

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
"""Stands for a value that is not known."""
_TWO, _WIDE = 2, 4


def section(title: str, lead: Child, *body: Child) -> Html:
    """Return a section with its heading and a sentence that says what it shows."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *body)


def table(columns: Sequence[str], rows: Iterable[Sequence[Html]], numbers_from: int = 99) -> Html:
    """Return a table; columns from `numbers_from` on hold numbers. Cells come from `cell`."""
    shape = "wide" if len(columns) > _WIDE else "two" if len(columns) == _TWO else ""
    head = [
        tag("th", name, scope="col", class_="num" if place >= numbers_from else None)
        for place, name in enumerate(columns)
    ]
    body = [tag("tr", *row) for row in rows]
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", *head)),
            tag("tbody", *body),
            class_=f"even {shape}".strip() if numbers_from == 1 else None,
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=", ".join(columns),
    )


def cell(*children: Child, kind: str | None = None) -> Html:
    """Return a cell."""
    return tag("td", *children, class_=kind)


def row_name(*children: Child) -> Html:
    """Return the cell that names its row."""
    return tag("th", *children, scope="row")


def count(value: int) -> Html:
    """Return a cell with a count."""
    return cell(f"{value:,}", kind="num" if value else "num zero")


def sub(*children: Child) -> Html:
    """Return a second, quieter line."""
    return tag("span", *children, class_="sub")


def mono(text: str) -> Html:
    """Return text as it stands in files and commands."""
    return tag("span", text, class_="mono")


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Return names with their values; what has none is left out."""
    found = [
        join(tag("dt", name), tag("dd", value)) for name, value in pairs if value not in {None, ""}
    ]
    return tag("dl", *found, class_="facts")


def shares(name: str, title: str, parts: Sequence[Part]) -> Html:
    """Return a divided bar with its legend, which has every count."""
    return join(
        bar(name, title, parts),
        tag(
            "ul",
            *(
                tag(
                    "li",
                    tag("span", class_=f"swatch {part.kind}"),
                    f"{part.label} ",
                    tag("b", f"{part.count:,}"),
                )
                for part in parts
            ),
            class_="legend",
        ),
    )


def badge(text: str, tone: str) -> Html:
    """Return a word that says how something stands."""
    return tag("span", text, class_=f"badge {tone}")


def signed(value: float, form: str) -> str:
    """Return a number with its sign, a true minus for a negative one."""
    text = format(abs(value), form)
    if not any(digit in "123456789" for digit in text):
        return f"±{text}"
    return f"{'+' if value > 0 else MINUS}{text}"


def plural(number: int, one: str) -> str:
    """Return a count with its noun."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")
