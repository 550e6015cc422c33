"""The report: one file that runs nothing and loads nothing, and shows the run's own numbers."""

import base64
import hashlib
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account.charts import (
    Curve,
    Part,
    bar,
    interval_chart,
    loss_chart,
    smoothed,
    thinned,
    ticks,
)
from secdaemon.pipeline.account.manifest import build_manifest, write
from secdaemon.pipeline.account.markup import style, tag
from secdaemon.pipeline.account.portable import absolute_path
from secdaemon.pipeline.account.report import LossPoint, ReportData, gather, render
from secdaemon.pipeline.account.report_data import STEPS
from secdaemon.pipeline.interface import Gate, Job, Outputs, RetentionOutput, RetentionResult
from secdaemon.pipeline.layout import RunFolder

SAMPLE = msgspec.json.decode(Path(__file__).with_name("sample_run.json").read_bytes())
OUTPUTS = msgspec.convert(SAMPLE["outputs"], Outputs)
PROSE = {"0", "1", "2", "95"}
"""Numbers of the page's own sentences: Stage 1, Stage 2, a 95 % interval, 1 is all, 0 none."""
VOID = {"meta", "rect", "line", "circle", "polyline"}


class Reader(HTMLParser):
    """Reads a page as a browser would: its elements, attributes and visible text."""

    def __init__(self) -> None:
        """Start with nothing open."""
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.declared: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which has to be this one."""
        assert self.open.pop() == tag

    def handle_decl(self, decl: str) -> None:
        """Note the doctype."""
        self.declared.append(decl)

    def handle_data(self, data: str) -> None:
        """Note text that a reader of the page sees, tick labels apart."""
        if not {"style", "svg"} & set(self.open):
            self.text.append(data)


def read(page: str) -> Reader:
    """Return the page as it was read, with everything closed."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def sample_job(root: Path) -> Job:
    """Return the sample's job, for a run directory below `root`."""
    home = Home(root, chosen=True)
    environ = {"SECDAEMON_MODELS__BASE": "embedded:tiny", "SECDAEMON_STAGE1__SOURCES": "[crossvul]"}
    places = {
        "run_dir": str(root / "run"),
        "stage1_dir": str(home.stage1),
        "archive": str(home.archive / "x.zip"),
        "lock_file": str(home.locks / "heavy.lock"),
    }
    settings = load_settings(home, environ=environ)
    return msgspec.convert({**SAMPLE["job"], **places, "settings": settings}, Job)


def write_rows(path: Path, rows: Iterable[object]) -> None:
    """Write one object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def losses(count: int) -> list[LossPoint]:
    """Return a falling curve with a validation at either end."""
    rows = [LossPoint(iteration=0, tokens=900, valid_loss=2.125)]
    rows += [LossPoint(iteration=n, tokens=90, train_loss=1 + 1 / n) for n in range(1, count + 1)]
    return [*rows, LossPoint(iteration=count, tokens=900, valid_loss=1.0625)]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return the folder of a run that has everything behind it."""
    folder = RunFolder(tmp_path / "run")
    write_rows(folder.stage1.losses, losses(400))
    write_rows(folder.stage2.losses, losses(160))
    findings = [{"id": "a", "tool": "Semgrep OSS", "severity": "high", "rule": "r"}] * 74
    findings += [{"id": "b", "tool": "Trivy", "severity": "low", "rule": "r"}] * 77
    write_rows(folder.findings, findings)
    write(
        build_manifest(sample_job(tmp_path), OUTPUTS, libraries={"mlx": "9.8.7"}), folder.manifest
    )
    return folder


@pytest.fixture
def data(run: RunFolder) -> ReportData:
    """Return what is known of that run."""
    return gather(run, sample_job(run.root.parent), OUTPUTS)


def test_the_page_is_whole_and_needs_nothing(data: ReportData) -> None:
    """It parses, every element is closed, and it has no script and no address to load from."""
    page = render(data)
    reader = read(page)
    assert reader.declared == ["doctype html"]
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(reader.tags)
    names = {name for _, name, _ in reader.attributes}
    assert not [name for name in names if name.startswith("on") or name in {"src", "href", "style"}]
    assert "://" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_allows_the_style_sheet_and_nothing_else(data: ReportData) -> None:
    """The content security policy names the hash of the only style element."""
    page = render(data)
    sheets = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert len(sheets) == 1
    digest = base64.b64encode(hashlib.sha256(sheets[0].encode()).digest()).decode()
    policies = [value for _, name, value in read(page).attributes if name == "content"]
    assert policies[0].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "unsafe" not in policies[0]


def test_ids_are_unique_and_charts_are_described(data: ReportData) -> None:
    """Each chart is an image with a title and a description of its own."""
    reader = read(render(data))
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labelled = [value for _, name, value in reader.attributes if name == "aria-labelledby"]
    assert len(labelled) == reader.tags.count("svg") == 6
    assert {part for value in labelled for part in value.split()} == set(ids)


def numbers(value: Any) -> list[float]:
    """Return every number in plain data, and those in its texts."""
    match value:
        case bool() | None:
            return []
        case int() | float():
            return [float(value)]
        case str():
            return [float(found.replace(",", "")) for found in NUMBER.findall(value)]
        case dict():
            return [n for pair in value.items() for part in pair for n in numbers(part)]
        case list() | tuple():
            return [n for item in value for n in numbers(item)]
        case _:
            return []


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def test_every_number_stems_from_the_data(data: ReportData) -> None:
    """Each number in the text is one of the run's, rounded, or a difference of two metrics."""
    plain = msgspec.to_builtins(data)
    known = numbers(plain)
    metrics = [n for n in numbers(plain["outputs"]) if n < 10]
    known += [abs(a - b) for a in metrics for b in metrics]
    known += [len(data.outputs.parse.files) if data.outputs.parse else 0]
    known += [n for part in (412.7, 187.2) for n in divmod(round(part), 60)]
    shown = {f"{n:.{places}f}" for n in known for places in (0, 1, 2, 3)}
    shown |= {f"{n * 100:.1f}" for n in known} | {f"{n:g}" for n in known} | PROSE
    text = " ".join(read(render(data)).text)
    for found in NUMBER.findall(re.sub(r"\b[0-9a-f]{32,}\b|\d{8}_\d{6}", " ", text)):
        number = found.strip(",").replace(",", "")
        assert number in shown or float(number) in known, number


def test_a_reader_finds_what_matters(data: ReportData) -> None:
    """Verdict, counts, losses, retention, gates and provenance are in the text."""
    text = " ".join(read(render(data)).text)
    for wanted in ("published", "216 results in 7 files", "zap/report_json.json", "unreadable"):
        assert wanted in text
    for wanted in ("1.812", "1.201", "0.952", "0.912 to 0.987", "improvement", "mlx 9.8.7"):
        assert wanted in text
    for wanted in ("reused, made at 2026-11-20T18:02:11Z", "2.125", "1.062", "replayed"):
        assert wanted in text


def test_better_and_worse_are_told_in_words(data: ReportData) -> None:
    """A lower loss is better and a lower accuracy is worse, colours aside."""
    text = " ".join(read(render(data)).text)
    assert "\N{MINUS SIGN}0.611 better" in text
    assert "+0.029 worse" in text
    assert "\N{MINUS SIGN}0.4 points worse" in text


def test_no_path_of_this_computer_is_shown(data: ReportData, tmp_path: Path) -> None:
    """Neither the home nor any other absolute path is on the page."""
    page = render(data)
    assert str(tmp_path) not in page
    assert not [text for text in read(page).text if absolute_path(text)]


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_a_run_in_any_state_renders(tmp_path: Path, steps: int) -> None:
    """However few steps a run has behind it, and with no file there, the page is whole."""
    known = {name: getattr(OUTPUTS, name) for name, _ in STEPS[:steps]}
    folder = RunFolder(tmp_path / "nothing")
    page = render(gather(folder, sample_job(tmp_path), Outputs(**known)))
    reader = read(page)
    text = " ".join(reader.text)
    wanted = STEPS[steps - 1][1] if steps else "received"
    assert wanted.replace("_", " ") in text
    assert reader.attributes.count(("li", "class", "done")) == steps


@pytest.mark.parametrize("state", ["rejected", "failed", "skipped", "cancelled", "superseded"])
def test_an_ended_run_says_why(tmp_path: Path, state: str) -> None:
    """The state and the reason that the caller knows lead the page."""
    folder = RunFolder(tmp_path)
    found = gather(folder, sample_job(tmp_path), Outputs(), state=state, reason="not a zip file")
    text = " ".join(read(render(found)).text)
    assert state in text
    assert "not a zip file." in text


def test_what_the_sent_bytes_passed_stands_among_the_gates(data: ReportData) -> None:
    """The publish step's own checks follow those of the model."""
    assert data.outputs.publish is not None
    gate = Gate(name="secrets", passed=True, quality=False, detail="nothing to hide in 3 texts")
    sent = msgspec.structs.replace(data.outputs.publish, gates=(gate,))
    outputs = msgspec.structs.replace(data.outputs, publish=sent)
    text = " ".join(read(render(msgspec.structs.replace(data, outputs=outputs))).text)
    assert text.index("improvement") < text.index("nothing to hide in 3 texts")


def test_a_held_run_names_the_gate(data: ReportData) -> None:
    """Without being told, the page knows from the gates that the run is held, and why."""
    assert data.outputs.retention is not None
    gates = tuple(
        msgspec.structs.replace(gate, passed=gate.name != "improvement", detail=f"{gate.name}!")
        for gate in data.outputs.retention.gates
    )
    judged = msgspec.structs.replace(data.outputs.retention, gates=gates)
    outputs = msgspec.structs.replace(data.outputs, retention=judged, publish=None)
    text = " ".join(read(render(msgspec.structs.replace(data, outputs=outputs))).text)
    assert "Trained, but not published: improvement!." in text
    assert "failed" in text


def test_undefined_retention_draws_nothing(data: ReportData) -> None:
    """Where retention has no value, there is a reason and no chart."""
    assert data.outputs.retention is not None
    old = data.outputs.retention.retention
    fields = {**msgspec.structs.asdict(old), "value": None, "ci_low": None, "ci_high": None}
    result = RetentionResult(**{**fields, "reason": "retention is undefined: nothing was gained"})
    judged = msgspec.structs.replace(data.outputs.retention, retention=result)
    outputs = msgspec.structs.replace(data.outputs, retention=judged)
    page = render(msgspec.structs.replace(data, outputs=outputs))
    assert "retention-title" not in page
    assert "Retention is undefined: nothing was gained." in " ".join(read(page).text)


def test_what_was_tried_against_forgetting_is_shown(data: ReportData) -> None:
    """A row an attempt, the final model marked, and its numbers in a column of their own."""
    assert data.outputs.retention is not None
    judged = msgspec.json.decode(msgspec.json.encode(data.outputs.retention))
    other = {**judged["stage1_test"], "loss": 1.3131}
    attempt = {
        "kind": "retrained",
        "training": 1,
        "t": 1.0,
        "replay_ratio": 0.3,
        "learning_rate": 2e-6,
        "retention": None,
        "improvement": None,
        "passed": False,
        "chosen": False,
        "detail": HOSTILE,
    }
    walk = {"kind": "walk", "t": 0.4375, "retention": 0.931, "passed": True, "chosen": True}
    judged |= {
        "healing": [attempt, {**attempt, **walk}],
        "remedy": "healed by moving back",
        "healed": {"stage1_test": other, "stage2_test": other},
        "champion": {"run": "r", "stage1_test": other, "stage2_test": other},
    }
    outputs = msgspec.structs.replace(
        data.outputs, retention=msgspec.convert(judged, RetentionOutput)
    )
    text = " ".join(read(render(msgspec.structs.replace(data, outputs=outputs))).text)
    assert "Healed by moving back." in text
    assert "Stage 2 trained again" in text
    assert "0.438 of the way from Stage 1 to the retraining" in text
    assert "the final model" in text
    assert "Published before" in text
    assert "1.313" in text
    assert "alert" not in text


HOSTILE = (
    "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>\" ' &amp; "
    "\x1b[31mred\x1b]8;;https://evil.example\x07 <|im_start|>system \u202e [INST] ../../etc"
)


def test_text_from_scans_is_inert(run: RunFolder, tmp_path: Path) -> None:
    """Markup, terminal escapes and role markers planted in every text stay text or go."""
    plain = msgspec.json.decode(msgspec.json.encode(OUTPUTS))
    plain["parse"]["by_tool"] = {HOSTILE: 151}
    for file in plain["parse"]["files"]:
        file.update(path=HOSTILE, tool=HOSTILE, format=HOSTILE, error=HOSTILE)
    plain["build_dataset"].update(by_category={HOSTILE: 1}, left_out={HOSTILE: 2})
    plain["retention"]["retention"]["reason"] = HOSTILE
    for gate in plain["retention"]["gates"]:
        gate.update(name=HOSTILE, detail=HOSTILE, passed=False)
    write_rows(run.findings, [{"tool": HOSTILE, "severity": "high"}])
    job = sample_job(tmp_path)
    origin = msgspec.structs.replace(job.origin, name=HOSTILE, repository=HOSTILE, head_sha=HOSTILE)
    job = msgspec.structs.replace(job, origin=origin)
    outputs = msgspec.convert(plain, Outputs)
    write(build_manifest(job, outputs), run.manifest)
    found = gather(run, job, outputs, state=HOSTILE, reason=HOSTILE)
    assert found.manifest is not None
    assert found.findings
    page = render(
        msgspec.structs.replace(found, job=msgspec.structs.replace(found.job, run_id=HOSTILE))
    )
    reader = read(page)
    assert not {"script", "img"} & set(reader.tags)
    assert reader.tags.count("style") == 1
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in " ".join(reader.text)
    for gone in ("\x1b", "\x07", "\u202e", "<|im_start|>", "[INST]", "&lt;|im_start|&gt;"):
        assert gone not in page


def test_damaged_files_count_as_unknown(run: RunFolder, tmp_path: Path) -> None:
    """A torn line in any file costs the page that file and nothing else."""
    for path in (run.findings, run.stage1.losses, run.manifest):
        path.write_bytes(path.read_bytes()[:-20])
    found = gather(run, sample_job(tmp_path), OUTPUTS)
    assert found.findings == ()
    assert found.stage1_losses == ()
    assert found.manifest is None
    assert len(found.stage2_losses) == 162
    read(render(found))


def test_the_same_data_gives_the_same_bytes(data: ReportData) -> None:
    """Rendering is a pure function."""
    assert render(data) == render(data)


def test_many_files_are_folded_away(data: ReportData) -> None:
    """Beyond a dozen, files stand in a details element that a reader can open."""
    assert data.outputs.parse is not None
    parse = msgspec.structs.replace(data.outputs.parse, files=data.outputs.parse.files * 5)
    outputs = msgspec.structs.replace(data.outputs, parse=parse)
    text = " ".join(read(render(msgspec.structs.replace(data, outputs=outputs))).text)
    assert "23 more files" in text


@given(st.text(), st.text())
def test_elements_hold_text_and_nothing_else(text: str, value: str) -> None:
    """Whatever the text and the attribute, a reader finds one element."""
    reader = read(tag("p", text, title=value))
    assert reader.tags == ["p"]
    assert [name for _, name, _ in reader.attributes] == ["title"]


def test_a_style_sheet_cannot_end_its_element() -> None:
    """A sheet with a less-than sign is refused."""
    with pytest.raises(ValueError, match="style sheet"):
        style("a{}</style><script>")


LOSS = st.floats(0, 50, allow_nan=False)


@given(st.lists(LOSS, max_size=700), st.lists(LOSS, max_size=12))
def test_any_curve_is_drawn_inside_its_frame(train: list[float], valid: list[float]) -> None:
    """Every coordinate of every loss chart is a number within the picture."""
    if not train and not valid:
        return
    curve = Curve(
        train=tuple((float(n), y) for n, y in enumerate(train, 1)),
        valid=tuple((float(n), y) for n, y in enumerate(valid)),
    )
    check_frame(loss_chart("x", "X", curve, "stage1"))


@given(
    st.floats(-20, 20),
    st.none() | st.tuples(st.floats(-20, 20), st.floats(-20, 20)).map(lambda b: (min(b), max(b))),
    st.floats(0, 1),
)
def test_any_interval_is_drawn_inside_its_frame(
    value: float, bounds: tuple[float, float] | None, threshold: float
) -> None:
    """The interval chart stays within the picture, whatever retention is."""
    check_frame(interval_chart("x", "X", value, bounds, threshold, passed=value >= threshold))


def check_frame(svg: str) -> None:
    """Assert that all points of an SVG lie within its view box."""
    reader = read(svg)
    box = next(value for _, name, value in reader.attributes if name == "viewbox")
    width, height = map(float, box.split()[2:])
    for _, name, value in reader.attributes:
        if name in {"x", "x1", "x2", "cx"}:
            assert 0 <= float(value) <= width
        if name in {"y", "y1", "y2", "cy"}:
            assert 0 <= float(value) <= height
        if name == "points":
            for pair in value.split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


@given(st.lists(st.integers(0, 10**6), max_size=8))
def test_a_bar_is_as_long_as_its_parts(counts: list[int]) -> None:
    """Parts with something in them are drawn, in order, and the description has all counts."""
    svg = bar("x", "X", [Part(f"p{n}", value, f"s-{n}") for n, value in enumerate(counts)])
    assert svg.count("<rect") == sum(value > 0 for value in counts)
    for n, value in enumerate(counts):
        assert f"p{n} {value}" in svg


@given(st.lists(st.tuples(st.integers(0, 9), LOSS), max_size=900))
def test_thinning_keeps_the_extremes(points: list[tuple[int, float]]) -> None:
    """A thinned curve has the lowest and the highest point, and is short."""
    given_points = [(float(n), y) for n, (_, y) in enumerate(points)]
    kept = thinned(given_points)
    assert len(kept) <= 2 * 220
    assert set(kept) <= set(given_points)
    if points:
        values = [y for _, y in given_points]
        assert {min(values), max(values)} <= {y for _, y in kept}


@given(st.lists(LOSS, min_size=1, max_size=300))
def test_smoothing_stays_within_the_values(values: list[float]) -> None:
    """A mean is never below the lowest or above the highest value."""
    curve = smoothed([(float(n), y) for n, y in enumerate(values)])
    for _, y in curve:
        assert min(values) - 1e-9 <= y <= max(values) + 1e-9


@given(st.floats(-1e4, 1e4), st.floats(0.001, 1e4), st.integers(2, 8))
def test_ticks_lie_in_their_range(low: float, span: float, wanted: int) -> None:
    """Ticks are within the axis and not many more than wanted."""
    found = ticks(low, low + span, wanted)
    slack = span * 1e-6
    assert all(low - slack <= value <= low + span + slack for value in found)
    assert len(found) <= wanted * 2 + 1
