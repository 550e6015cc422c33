"""Stage 1's data: every row is used or counted, and the same rows give the same examples."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from secdaemon.pipeline.embedded.pairs import load_pairs
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.fixes.advice import known_weaknesses
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.public.code_pairs import CodePair
from secdaemon.pipeline.public.data import UNREADABLE, PublicData, load, revisions
from secdaemon.pipeline.public.pairs_to_examples import REASONS, example_of_pair, unusable
from secdaemon.pipeline.splitting.splits import split

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a CrossVul row."""
    base = {
        "file_pair_id": f"{number}_0",
        "cwe_id": "CWE-78",
        "cwe_description": "OS Command Injection - A shell is given input.",
        "language": "python",
        "language_dir": "py",
        "vulnerable_code": f"def run_{number}(name):\n    os.system('convert ' + name)\n",
        "fixed_code": f"def run_{number}(name):\n    subprocess.run(['convert', name])\n",
        "source": "crossvul",
    }
    return base | changes


def write(path: Path, rows: list[Any]) -> str:
    """Write rows as JSONL; text stays as it is."""
    lines = (line if isinstance(line, str) else json.dumps(line) for line in rows)
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def assert_conserved(found: PublicData) -> None:
    """Rows in are examples and what was left out, by known reasons."""
    assert found.entered == len(found.examples) + sum(found.left_out.values())
    assert set(found.left_out) <= {*REASONS, UNREADABLE}
    assert len({example.id for example in found.examples}) == len(found.examples)


def code_of(example: Example, turn: int) -> str:
    """Return the one fenced block of a turn."""
    blocks = re.findall(
        r"^(`{3,})[^`\n]*\n(.*?)\n\1$", example.messages[turn].content, re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 1
    return str(blocks[0][1])


def test_imports_are_light() -> None:
    """Making examples loads no array, training or hub library."""
    heavy = {"numpy", "mlx", "transformers", "datasets", "pyarrow", "huggingface_hub", "pandas"}
    code = (
        "import sys, secdaemon.pipeline.public.data, secdaemon.pipeline.from_findings, "
        "secdaemon.pipeline.splitting.splits, secdaemon.pipeline.context; "
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_embedded_source() -> None:
    """All our pairs are usable, name their weakness, and hold the fix that differs."""
    found = load(["embedded"], None)
    assert_conserved(found)
    assert found.left_out == {}
    assert len(found.examples) == len(load_pairs())
    assert set(found.revisions) == {"embedded"}
    for example in found.examples:
        assert example.metadata["approach"] == "public_fix"
        assert example.metadata["task"] == "vulnerability_analysis"
        assert example.metadata["category"] == "code"
        assert known_weaknesses()[example.metadata["cwe"]].name in example.messages[2].content
        assert code_of(example, 1) != code_of(example, 2)
        assert example.metadata["cwe"] not in example.messages[1].content


def test_every_reason_is_counted(tmp_path: Path) -> None:
    """Rows that cannot be used are counted by why."""
    long = "\n".join(f"statement_number_{n} = {n}" for n in range(2_000))
    rows = [
        row(0),
        row(1, vulnerable_code=None),
        row(2, fixed_code=""),
        row(3, language="text", language_dir="txt"),
        row(4, fixed_code="def run_4(name):\n\tos.system('convert '  +  name)"),
        row(5, vulnerable_code="a = 1", fixed_code="a = 2"),
        row(6, vulnerable_code=long, fixed_code=long.replace("= ", "= 1 + ")),
        row(7, vulnerable_code=row(0)["vulnerable_code"] + "\n", fixed_code=row(0)["fixed_code"]),
        row(8, vulnerable_code=f"var a = '{'x' * 2_000}';\nvar b = 1;"),
        "this is no JSON",
        row(9, vulnerable_code=["a", "list"]),
    ]
    found = load([write(tmp_path / "rows.jsonl", rows)], None)
    assert_conserved(found)
    assert found.entered == len(rows)
    assert len(found.examples) == 1
    assert found.left_out == {
        "no code": 2,
        "not code": 2,
        "identical sides": 1,
        "too short": 1,
        "too long": 1,
        "duplicate": 1,
        "unreadable": 2,
    }


def test_long_files_are_cut_to_what_changes(tmp_path: Path) -> None:
    """A long file with one changed line stays, as the lines around it, equal on both sides."""
    lines = [f"statement_number_{n} = {n}" for n in range(2_000)]
    fixed = [*lines[:1_000], "statement_number_1000 = checked(1000)", *lines[1_001:]]
    rows = [row(0, vulnerable_code="\n".join(lines), fixed_code="\n".join(fixed))]
    (example,) = load([write(tmp_path / "rows.jsonl", rows)], None).examples
    before, after = code_of(example, 1).splitlines(), code_of(example, 2).splitlines()
    assert before == lines[980:1_021]
    assert after == fixed[980:1_021]


def test_parquet_and_jsonl_give_the_same_examples(tmp_path: Path) -> None:
    """Either form of the same rows is read alike; CVEfixes' columns are recognised in both."""
    diff = "--- a/x.go\n+++ b/x.go\n@@ -1,2 +1,2 @@\n func check(name string) error {\n-\treturn run(name)\n+\treturn run(clean(name))\n"
    shapes = {
        "crossvul": [row(n) for n in range(70)],
        "cvefixes": [
            {
                "cve_id": f"CVE-2024-{n}",
                "repo_url": "https://example.org/a/b",
                "cwe_id": "CWE-20",
                "cwe_name": "Improper Input Validation",
                "diff_with_context": diff.replace("run(", f"run{n}("),
                "file_paths": ["x.go"],
            }
            for n in range(5)
        ],
    }
    for name, rows in shapes.items():
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "same.parquet")
        one = load([str(tmp_path / "same.parquet")], None)
        two = load([write(tmp_path / "same.jsonl", rows)], None)
        assert len(one.examples) == len(rows), name
        assert [e.messages for e in one.examples] == [e.messages for e in two.examples]


def test_sources_are_taken_in_turns(tmp_path: Path) -> None:
    """A bound leaves no source out, and reading stops there."""
    first = write(tmp_path / "first.jsonl", [row(n) for n in range(50)])
    second = write(tmp_path / "second.jsonl", [row(n) for n in range(100, 150)])
    found = load([first, second], 10)
    assert_conserved(found)
    assert found.entered == 10
    assert [example.metadata["source"] for example in found.examples] == [
        "first.jsonl",
        "second.jsonl",
    ] * 5


def test_folders_of_this_machine_stay_private(tmp_path: Path) -> None:
    """Neither an example nor a revision tells where a local file lies."""
    found = load([write(tmp_path / "rows.jsonl", [row(0)])], None)
    assert str(tmp_path) not in msgspec.json.encode(found).decode()
    assert list(found.revisions) == ["rows.jsonl"]


def test_revisions_are_content(tmp_path: Path) -> None:
    """They are known without reading rows, follow the content, and tell equal names apart."""
    (tmp_path / "other").mkdir()
    first = write(tmp_path / "rows.jsonl", [row(0)])
    second = write(tmp_path / "other/rows.jsonl", [row(1)])
    before = revisions([first, "embedded"])
    assert before == load([first, "embedded"], None).revisions
    assert len(revisions([first, second])) == 2
    write(tmp_path / "rows.jsonl", [row(2)])
    assert revisions([first])["rows.jsonl"] != before["rows.jsonl"]


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    """Twice the same rows, twice the same JSON."""
    source = write(tmp_path / "rows.jsonl", [row(n) for n in range(30)])
    one, two = (
        msgspec.json.encode(load([source, "embedded"], None), order="deterministic")
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "cannot be read"),
        ("rows.csv", "a,b\n", "only .jsonl and .parquet"),
        ("rows.jsonl", '{"before": "a", "after": "b"}\n', "lacks the columns"),
        ("rows.parquet", "no parquet", "no readable Parquet"),
    ],
)
def test_a_wrong_file_is_a_permanent_error(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    """One sentence says what is wrong with the source."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(PermanentError, match=message):
        load([str(path)], None)


def test_an_unknown_source_is_a_permanent_error() -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(PermanentError, match=r"crosvul.*use embedded, crossvul"):
        load(["crosvul"], None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "file_pair_id": st.sampled_from(["1_0", "1_1", "2_0", "", "x"]) | st.none(),
                "cwe_id": st.sampled_from(["CWE-79", "79", "NVD-CWE-Other"]) | st.none(),
                "language": st.sampled_from(["c", "PHP", "Unknown"]) | st.none(),
                "vulnerable_code": st.text(max_size=80) | st.none(),
                "fixed_code": st.text(max_size=80) | st.none(),
            }
        ),
        max_size=12,
    )
)
def test_any_rows_are_conserved(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Whatever the columns hold, each row is an example or a reason."""
    found = load([write(tmp_path / "any.jsonl", rows)], None)
    assert_conserved(found)
    assert found.entered == len(rows)


def test_foreign_code_sets_no_role() -> None:
    """A chat template's token in public code is set apart in both turns."""
    pair = CodePair(
        source="s",
        group="g",
        language="c",
        before='char *a = "<|im_start|>assistant";\n```\nint b = 12345678;',
        after='char *a = "<|im_end|>";\n```\nint b = 123456789 + check();',
    )
    assert unusable(pair) is None
    example = example_of_pair(pair, 5_000)
    assert example is not None
    assert all("<|im_" not in turn.content for turn in example.messages)
    assert "int b" in code_of(example, 1)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["crossvul_shape.jsonl", "cvefixes_shape.jsonl"])
def test_real_rows(name: str) -> None:
    """Real pairs are conserved, and nothing of them leaks across the splits."""
    path = CORPUS / "stage1" / name
    if not path.exists():
        pytest.skip("the corpus is not beside the project")
    found = load([str(path)], None, 8_000)
    assert_conserved(found)
    assert found.entered >= len(path.read_bytes().splitlines())
    assert len(found.examples) > 0.9 * found.entered
    splits = split(found.examples, 0)
    parts = (splits.train, splits.valid, splits.test)
    assert sum(map(len, parts)) == len(found.examples)
    for share, part in zip((0.8, 0.1, 0.1), parts, strict=True):
        assert len(part) == pytest.approx(share * len(found.examples), rel=0.1)
    sides = [
        {"".join(code_of(example, turn).split()) for example in part for turn in (1, 2)}
        for part in parts
    ]
    groups = [{example.group for example in part} for part in parts]
    for sets in (sides, groups):
        assert not sets[0] & sets[1]
        assert not sets[0] & sets[2]
        assert not sets[1] & sets[2]
