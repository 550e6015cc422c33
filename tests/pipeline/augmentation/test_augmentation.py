"""Augmentation: variants mean the same, weigh no more, and come of the training split alone."""

import re
import symtable
from collections.abc import Iterator
from importlib import resources

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.augmentation.augment import VARIANT, augment
from secdaemon.pipeline.augmentation.code import Answered, fewer_lines, other_names
from secdaemon.pipeline.augmentation.scopes import renamable
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.fixes.surroundings import surroundings_of
from secdaemon.pipeline.from_findings import example_of
from secdaemon.pipeline.public.data import load

OPENING = "semgrep reports a finding in this project. Explain it and give the fix."

KOTLIN = """fun find(id: String): User? {
    val statement = connection.createStatement()
    val started = System.nanoTime()
    metrics.time("find", started)
    metrics.count("find")
    audit.note("find")
    audit.close()
    val query = "select * from users where id = '" + id + "'"
    val rows = statement.executeQuery(query)
    return rows.first()
}"""
MENDED = KOTLIN.replace(
    """    val query = "select * from users where id = '" + id + "'"
    val rows = statement.executeQuery(query)""",
    """    val prepared = connection.prepareStatement("select * from users where id = ?")
    prepared.setString(1, id)
    val rows = prepared.executeQuery()""",
)


def make(
    before: str = KOTLIN,
    after: str = MENDED,
    language: str = "kotlin",
    told: str = "The value is bound: `val rows = prepared.executeQuery()`.",
    **metadata: str,
) -> Example:
    """Return an example with a fix."""
    known = {"source": "project", "task": "fix_generation", "approach": "code_pattern"}
    return Example(
        id="finding-1",
        messages=conversation(
            f"{OPENING}\n\n- Rule: `tainted-string`\n\n```{language}\n{before}\n```",
            f"**Weakness:** Injection.\n\n**Fix:** {told}\n\n```{language}\n{after}\n```",
        ),
        group="path:Users.kt",
        weight=2.5,
        metadata=known | metadata,
    )


@pytest.mark.parametrize("variants", [0, 1, 2, 3, 8])
def test_variants_share_the_weight(variants: int) -> None:
    """An example and its variants weigh what it weighed; ids, group and marks are theirs."""
    original = make()
    first, *others = augment([original], variants, 0)
    assert first.id == original.id
    assert first.messages == original.messages
    assert VARIANT not in first.metadata
    assert len(others) == variants
    assert [other.id for other in others] == [f"finding-1~{n + 1}" for n in range(variants)]
    assert {other.group for other in others} <= {original.group}
    assert sum(each.weight for each in (first, *others)) == pytest.approx(original.weight)
    assert len({each.messages for each in (first, *others)}) == variants + 1
    if variants >= 3:
        assert {other.metadata[VARIANT] for other in others} == {"paraphrase", "rename", "window"}


def test_the_same_seed_gives_the_same_variants() -> None:
    """Content and seed decide; other examples beside it do not."""
    other = make(KOTLIN.replace("find", "seek"), MENDED.replace("find", "seek"))
    other = msgspec.structs.replace(other, id="finding-2")
    assert augment([make()], 2, 0) == augment([make()], 2, 0)
    assert augment([other, make()], 2, 0)[3:] == augment([make()], 2, 0)
    kinds = {augment([make()], 1, seed)[1].metadata[VARIANT] for seed in range(20)}
    assert kinds == {"paraphrase", "rename", "window"}


@pytest.mark.parametrize(
    "metadata",
    [{"approach": "advice"}, {"approach": ""}, {"source": "crossvul"}],
    ids=["advice", "no approach", "replay"],
)
def test_what_has_no_checked_fix_has_no_variant(metadata: dict[str, str]) -> None:
    """Advice, public data and what was replayed stay as they are, weight and all."""
    assert augment([make(**metadata)], 3, 0) == (make(**metadata),)


def test_a_variant_of_a_test_answer_is_left_out() -> None:
    """A variant that is nearly a held-out example is none, and its share of the weight is kept."""
    renamed = next(e for e in augment([make()], 3, 0) if e.metadata.get(VARIANT) == "rename")
    held = msgspec.structs.replace(renamed, id="finding-9", group="path:Other.kt", metadata={})
    left = augment([make()], 3, 0, [held])
    assert "rename" not in {each.metadata.get(VARIANT) for each in left}
    assert sum(each.weight for each in left) == pytest.approx(2.5)


def test_the_phrasings_open_as_the_questions_do() -> None:
    """The sentence that phrasings stand for is the one that questions begin with."""
    finding = Finding(
        id="f",
        tool="semgrep",
        rule="r",
        severity=Severity.HIGH,
        category=Category.CODE,
        message="m",
        path="a.py",
        line=1,
        sources=(),
    )
    assert example_of(finding, None, 1.0).messages[1].content.startswith(OPENING)
    text = resources.files("secdaemon.pipeline.embedded").joinpath("phrasings.yaml").read_text()
    assert '"{tool} reports a finding in this project. Explain it and give the fix."' in text
    for example in augment([make(language="", before="a b", after="c d")], 6, 0)[1:]:
        assert example.metadata[VARIANT] == "paraphrase"
        opening, rest = example.messages[1].content.split("\n", 1)
        assert opening.count("semgrep") == 1
        assert opening != OPENING
        assert (
            rest
            == make(language="", before="a b", after="c d").messages[1].content[len(OPENING) + 1 :]
        )


def undone(text: str) -> str:
    """Return a text with every affix taken away from the names."""
    text = re.sub(r"\b(?:given|current|local)_(\w+)", r"\1", text)
    text = re.sub(r"\b(\w+)_value\b", r"\1", text)
    text = re.sub(
        r"\b(?:given|current|local)([A-Z]\w*)", lambda m: m[1][:1].lower() + m[1][1:], text
    )
    return re.sub(r"\b([a-z]\w*)Value\b", r"\1", text)


def test_a_renaming_can_be_undone() -> None:
    """Renamed back, the variant is the original; what is quoted in the answer follows the code."""
    answered = Answered.of(make())
    assert answered is not None
    made = list(other_names(answered, b"\0"))
    assert len(made) == 4
    for question, answer in made:
        assert undone(question) == answered.question
        assert undone(answer) == answered.answer
        changed = Answered.of(make(*re.findall(r"(?s)```kotlin\n(.*?)\n```", question + answer)))
        assert changed is not None
        assert changed.before.count(".executeQuery(") == 1
        name = re.search(r"val (\w+) = prepared", changed.after)
        assert name is not None
        assert f"`val {name[1]} = prepared.executeQuery()`" in answer
        for code in (changed.before, changed.after):
            assert surroundings_of("kotlin", code) is not None


SAMPLES: dict[str, tuple[str, set[str]]] = {
    "c": (
        (
            "int copy(char *target, const char *source) {\n    int length = strlen(source);\n"
            "    struct box holder;\n    holder.length = length;\n    strcpy(target, source);\n"
            "    return holder.length;\n}"
        ),
        {"target", "source", "holder"},
    ),
    "go": (
        (
            "func (s *Server) Get(writer Writer, request *Request) {\n"
            '\tname := request.Form("name")\n\tquery := Query{Name: name, other: writer}\n'
            "\tif found := s.run(query); found != nil {\n\t\twriter.Write(found)\n\t}\n}"
        ),
        {"query", "found", "writer", "request"},
    ),
    "java": (
        (
            "class A {\n  int total;\n  @Override\n  void run(String given, @Named String named) {\n"
            "    String total = given;\n    this.total = 1;\n    call(total, named);\n"
            "    for (String each : list(given)) { send(each); }\n    send.send();\n  }\n"
            "  @GetMapping void get(String path) { send(path); }\n}"
        ),
        {"given", "each"},
    ),
    "javascript": (
        (
            "function handle(request, { body }) {\n  const user = request.user;\n"
            "  const options = { user, body, limit: 1 };\n  let limit = options.limit;\n"
            "  return query(`a ${limit}`, request.params.limit);\n}"
        ),
        {"request", "options"},
    ),
    "kotlin": (
        (
            "fun handle(call: Call, name: String) {\n  val token = call.token\n  val other = call.other\n"
            '  println("$token")\n  send(other = other)\n  val plain = name\n  save(plain)\n}'
        ),
        {"plain"},
    ),
    "python": (
        (
            "def handle(request, name):\n    query = 'select ' + name\n    key = request.key\n"
            "    run(query, key=key)\n    # the rows are few\n    rows = fetch(query)\n"
            "    global total\n    total = len(rows)\n    for each in fetch(query):\n        show(each)\n"
        ),
        {"query", "each"},
    ),
    "typescript": (
        (
            "class A {\n  constructor(private store: Store, size: number) { this.size = size; use(size); }\n"
            "  find(id: string) { const found: Row = this.store.find(id); return found; }\n}"
        ),
        {"found"},
    ),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_only_variables_are_renamed(language: str) -> None:
    """Members, arguments' names, keys, text, comments and what a framework names stay."""
    code, expected = SAMPLES[language]
    assert set(renamable(language, code)) == expected


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "def f(x):\n    name = x\n    return eval('name')\n"),
        ("python", "def f(x):\n    name = x\n    return f'{name=}'\n"),
        ("python", "def f(x):\n    name = (x\n"),
        ("javascript", "function f(x) { const name = x; return eval('name'); }"),
        ("kotlin", "class A { val name = 1\n fun f() = name }"),
        ("java", "class A { void f() { use(name); String name = a; } }"),
        ("yaml", "name: name"),
        ("cobol", "name"),
    ],
)
def test_in_doubt_nothing_is_renamed(language: str, code: str) -> None:
    """Reflection, errors, fields, uses before the declaration and other languages: none."""
    assert "name" not in renamable(language, code)


def test_what_the_words_are_about_keeps_its_name() -> None:
    """A name in the report or in the explanation's prose is left alone."""
    answered = Answered.of(make(told="The query is built of input, in `query`."))
    assert answered is not None
    for question, answer in other_names(answered, b"\0"):
        assert "val query = " in question
        assert "in `query`" in answer


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["kotlin", "python", "c", "go"]))
def test_any_code_is_survived(before: str, after: str, language: str) -> None:
    """Whatever stands in the blocks, variants are made or not, and share the weight."""
    made = augment([make(before, after, language)], 3, 0)
    assert sum(each.weight for each in made) == pytest.approx(2.5)


def test_left_out_statements_are_whole_and_the_same_on_both_sides() -> None:
    """A comment stands for statements that do not change; what the change uses stays declared."""
    answered = Answered.of(make())
    assert answered is not None
    ((question, answer),) = fewer_lines(answered)
    found = Answered.of(make(*re.findall(r"(?s)```kotlin\n(.*?)\n```", question + answer)))
    assert found is not None
    for code in (found.before, found.after):
        assert code.count("// 5 lines left out") == 1
        assert "audit" not in code
        assert surroundings_of("kotlin", code) is not None
    assert "val statement = connection.createStatement()" in found.before
    assert 'val query = "select' in found.before
    assert "prepared.setString(1, id)" in found.after


def test_a_short_function_is_shown_whole() -> None:
    """Where little could be left out there is no other window."""
    short = KOTLIN.replace("    audit.close()\n", "").replace('    audit.note("find")\n', "")
    answered = Answered.of(make(short, short.replace("+ id +", "+ checked(id) +")))
    assert answered is not None
    assert not list(fewer_lines(answered))


def test_comments_between_statements_are_left_out_with_them() -> None:
    """A comment is no reason to keep statements, unless a word that is shown comes up in it first."""
    steps = "\n".join(f"    step{n}()\n    // about step {n} of many" for n in range(6))
    before = f"fun find(id: String) {{\n{steps}\n    run(many, id)\n}}"
    after = before.replace("run(many, id)", "runSafely(many, id)")
    answered = Answered.of(make(before, after))
    assert answered is not None
    ((question, _),) = fewer_lines(answered)
    assert "about step 0 of many" in question
    assert "step0()" in question
    assert "step3()" not in question


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """Yield a scope and all within it."""
    yield table
    for child in table.get_children():
        yield from scopes(child)


def test_python_itself_calls_the_names_local() -> None:
    """Of our own pairs' Python, every name that can be renamed is a local variable to symtable."""
    checked = 0
    for example in load(("embedded",), None).examples:
        answered = Answered.of(example)
        if answered is None or answered.grammar != "python":
            continue
        for code in (answered.before, answered.after):
            found = list(scopes(symtable.symtable(code, "code", "exec")))
            for name in renamable("python", code):
                symbols = [table.lookup(name) for table in found if name in table.get_identifiers()]
                assert symbols
                assert not any(each.is_global() or each.is_parameter() for each in symbols)
                checked += 1
    assert checked > 20
