"""Charts as inline SVG: pure functions of numbers, coloured by the classes of report.css.

Every chart has a title and a description for those who do not see it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from secdaemon.pipeline.account.markup import Html, join, tag

WIDTH, HEIGHT = 460.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 14.0, 26.0, 36.0
_BUCKETS = 220
"""A raw curve is drawn by the extremes of at most so many stretches of it."""
_SMOOTHING = 0.04
"""The weight's decay length of the smoothed curve, as a share of all iterations."""
_LABEL_ROOM = 0.15
_BASE, _MIDDLE = 92.0, 60.0


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Points (x, y) of a training's loss and of its validations, both in the order of x."""

    train: tuple[tuple[float, float], ...]
    valid: tuple[tuple[float, float], ...]


class Part(msgspec.Struct, frozen=True):
    """A share of a bar; `kind` is its CSS class."""

    label: str
    count: int
    kind: str


class Scale(msgspec.Struct, frozen=True):
    """A linear map from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about `wanted` round numbers from `low` to `high`, both included where round."""
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the exponentially weighted mean up to each point, corrected for its start."""
    keep = 1 - 1 / max(1.0, len(points) * _SMOOTHING)
    total = weight = 0.0
    curve = []
    for x, y in points:
        total, weight = keep * total + y, keep * weight + 1
        curve.append((x, total / weight))
    return curve


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points, or where they are many the lowest and highest of each stretch."""
    size = math.ceil(len(points) / _BUCKETS)
    if size <= 2:  # noqa: PLR2004 - two points have nothing between them
        return list(points)
    kept = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        ends = {min(bucket, key=lambda point: point[1]), max(bucket, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def loss_chart(name: str, title: str, curve: Curve, kind: str) -> Html:
    """Return a loss curve; `name` is unique in the page, `kind` the CSS class of the series."""
    mean = smoothed(curve.train)
    mean = mean[int(len(mean) * _SMOOTHING) :]  # the first means are over next to nothing
    shown = [y for _, y in (*curve.train, *curve.valid)]
    pad = (max(shown) - min(shown)) * 0.06 or 0.05
    x = Scale(0, max(px for px, _ in (*curve.train, *curve.valid)), _LEFT, WIDTH - _RIGHT)
    y = Scale(max(0.0, min(shown) - pad), max(shown) + pad, HEIGHT - _BOTTOM, _TOP)
    return _svg(
        name,
        title,
        _loss_description(curve, mean),
        HEIGHT,
        tag("text", "loss, nats per token", x=4, y=13, class_="axis-name"),
        tag("text", "iteration", x=WIDTH - _RIGHT, y=HEIGHT - 4, class_="axis-name end"),
        *_y_axis(y),
        *_x_axis(x, HEIGHT - _BOTTOM),
        _line(thinned(curve.train), x, y, f"raw {kind}"),
        _line(mean[:: math.ceil(len(mean) / _BUCKETS)] + mean[-1:], x, y, f"mean {kind}")
        if mean
        else None,
        *_validations(curve.valid, x, y, kind),
    )


def _loss_description(curve: Curve, mean: Sequence[tuple[float, float]]) -> str:
    parts = []
    if mean:
        parts.append(
            f"Training loss from {curve.train[0][1]:.3f} to a smoothed {mean[-1][1]:.3f} "
            f"over {len(curve.train)} iterations."
        )
    if curve.valid:
        first, last = curve.valid[0][1], curve.valid[-1][1]
        parts.append(f"Validation loss from {first:.3f} to {last:.3f}.")
    return " ".join(parts)


def _y_axis(scale: Scale) -> Iterator[Html]:
    values = ticks(scale.low, scale.high, 4)
    digits = _digits(values)
    for value in values:
        place = _px(scale.at(value))
        yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=place, y2=place, class_="grid")
        yield tag("text", f"{value:.{digits}f}", x=_LEFT - 7, y=place, class_="tick end middle")


def _x_axis(scale: Scale, bottom: float) -> Iterator[Html]:
    yield tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis")
    for value in ticks(0, scale.high, 4):
        if value != round(value):
            continue
        place = _px(scale.at(value))
        yield tag("line", x1=place, x2=place, y1=bottom, y2=bottom + 4, class_="axis")
        yield tag("text", f"{value:,.0f}", x=place, y=bottom + 17, class_="tick centre")


def _digits(values: Sequence[float]) -> int:
    """Return how many decimals tell neighbouring ticks apart."""
    step = min((b - a for a, b in pairwise(values)), default=1.0)
    return max(1, -math.floor(math.log10(step) + 1e-9))


def _line(points: Sequence[tuple[float, float]], x: Scale, y: Scale, kind: str) -> Html | None:
    if not points:
        return None
    path = " ".join(f"{_px(x.at(px))},{_px(y.at(py))}" for px, py in points)
    return tag("polyline", points=path, class_=kind)


def _validations(
    points: Sequence[tuple[float, float]], x: Scale, y: Scale, kind: str
) -> Iterator[Html]:
    """Yield the validations as ringed points."""
    for px, py in points:
        yield tag("circle", cx=_px(x.at(px)), cy=_px(y.at(py)), r=3.6, class_=f"valid {kind}")


def interval_chart(
    name: str,
    title: str,
    value: float,
    bounds: tuple[float, float] | None,
    threshold: float,
    *,
    passed: bool,
) -> Html:
    """Return a value with its interval on an axis from nothing to all, against a threshold."""
    low, high = bounds or (value, value)
    least, most = min(0.0, low, value), max(1.0, high, value)
    pad = (most - least) * 0.04
    x = Scale(least - pad, most + pad, 8, WIDTH - 8)
    at_value, at_threshold = _px(x.at(value)), _px(x.at(threshold))
    tone = "good" if passed else "bad"
    anchor = "end" if x.at(threshold) > WIDTH * (1 - _LABEL_ROOM) else "centre"
    span = f", 95 % interval {low:.3f} to {high:.3f}" if bounds else ""
    room = _px(WIDTH - 8 - x.at(threshold))
    return _svg(
        name,
        title,
        f"{value:.3f}{span}, threshold {threshold:.2f}.",
        _BASE + 24,
        tag("rect", x=at_threshold, y=24, width=room, height=_BASE - 24, class_="zone"),
        *_marks(x, ticks(least, most, 5)),
        tag("line", x1=at_threshold, x2=at_threshold, y1=20, y2=_BASE, class_="threshold"),
        tag("text", f"threshold {threshold:.2f}", x=at_threshold, y=13, class_=f"tick {anchor}"),
        _span(x, low, high, tone) if bounds else None,
        tag("circle", cx=at_value, cy=_MIDDLE, r=6.5, class_=f"dot {tone}"),
        tag("text", f"{value:.3f}", x=at_value, y=_MIDDLE - 13, class_="value centre"),
    )


def _marks(x: Scale, values: Sequence[float]) -> Iterator[Html]:
    yield tag("line", x1=x.start, x2=x.end, y1=_BASE, y2=_BASE, class_="axis")
    for value in values:
        place = _px(x.at(value))
        yield tag("line", x1=place, x2=place, y1=_BASE, y2=_BASE + 4, class_="axis")
        label = f"{value:.{_digits(values)}f}"
        yield tag("text", label, x=place, y=_BASE + 17, class_="tick centre")


def _span(x: Scale, low: float, high: float, tone: str) -> Html:
    """Return the interval with a stop at either end."""
    left, right = _px(x.at(low)), _px(x.at(high))
    return join(
        tag("line", x1=left, x2=right, y1=_MIDDLE, y2=_MIDDLE, class_=f"span {tone}"),
        *(
            tag("line", x1=end, x2=end, y1=_MIDDLE - 6, y2=_MIDDLE + 6, class_=f"stop {tone}")
            for end in (left, right)
        ),
    )


def bar(name: str, title: str, parts: Sequence[Part]) -> Html:
    """Return one bar divided by counts; the parts' names stand in a legend of the page's own."""
    total = sum(part.count for part in parts) or 1
    width, height, at = 800.0, 16.0, 0.0
    pieces = []
    for part in parts:
        if not part.count:
            continue
        size = part.count / total * width
        gap = 2.0 if at + size < width - 1 else 0.0
        length = _px(max(1.0, size - gap))
        kind = f"part {part.kind}"
        pieces.append(tag("rect", x=_px(at), y=0, width=length, height=height, class_=kind))
        at += size
    described = ", ".join(f"{part.label} {part.count}" for part in parts)
    return _svg(name, title, described, height, *pieces, width=width, kind="bar")


def _svg(
    name: str,
    title: str,
    description: str,
    height: float,
    *body: Html | None,
    width: float = WIDTH,
    kind: str = "chart",
) -> Html:
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        join(*body),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_=kind,
        aria_labelledby=f"{name}-title {name}-desc",
        preserveAspectRatio="none" if kind == "bar" else None,
    )


def _px(value: float) -> str:
    return f"{value:.1f}"
