"""Text that code puts together, read as texts and values, whatever puts it together."""

import ast
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.patterns.commands import words
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.sql_text import bound
from secdaemon.pipeline.fixes.patterns.templates import Template, literal, template_of
from secdaemon.pipeline.routes.syntax import text_of, within


def read(grammar: str, expression: str) -> tuple[Code, Template | None]:
    """Return an expression's template, read as the only argument of a call."""
    text = f"f({expression})"
    code = Code(grammar, text, grammars.parse(grammar, text))
    call = within(code.root, "call", "call_expression")[0]
    listed = call.child_by_field_name("arguments")
    assert listed is not None
    return code, template_of(code, listed.named_children[0])


@pytest.mark.parametrize(
    ("grammar", "expression"),
    [
        ("python", 'f"a {b.c} d {e[0]}!"'),
        ("python", '"a " + b.c + " d " + e[0] + "!"'),
        ("python", '"a %s d %s!" % (b.c, e[0])'),
        ("python", '"a {} d {}!".format(b.c, e[0])'),
        ("python", '"a {1} d {0}!".format(e[0], b.c)'),
        ("python", '"a {x} d {y}!".format(y=e[0], x=b.c)'),
        ("python", '("a "\n f"{b.c} d {e[0]}" "!")'),
        ("javascript", "`a ${b.c} d ${e[0]}!`"),
        ("typescript", "'a ' + b.c + ` d ${e[0]}!`"),
        ("tsx", "('a ' + (b.c) + ' d ') + e[0] + '!'"),
        ("go", '"a " + b.c + " d " + e[0] + "!"'),
        ("go", 'fmt.Sprintf("a %s d %v!", b.c, e[0])'),
        ("go", 'fmt.Sprintf("a %s", b.c) + fmt.Sprintf(" d %d!", e[0])'),
    ],
)
def test_every_way_to_put_text_together_is_the_same(grammar: str, expression: str) -> None:
    """The texts and the values are told apart, in order."""
    _, template = read(grammar, expression)
    assert template is not None
    assert template.texts == ("a ", " d ", "!")
    assert [text_of(value) for value in template.values] == ["b.c", "e[0]"]


@pytest.mark.parametrize(
    ("grammar", "expression"),
    [
        ("python", 'f"{a:>3}"'),
        ("python", 'f"{a!r}"'),
        ("python", '"%(a)s" % {"a": a}'),
        ("python", '"%s %s" % a'),
        ("python", '"%.2f" % a'),
        ("python", '"{}".format(*a)'),
        ("python", '"{a.b}".format(a=a)'),
        ("python", '"{:>3}".format(a)'),
        ("python", 'b"a" + a'),
        ("python", "a + b"),
        ("python", "a"),
        ("go", 'fmt.Sprintf("%q", a)'),
        ("go", 'fmt.Sprintf("%s")'),
        ("javascript", "a(b)"),
    ],
)
def test_what_is_formatted_specially_is_not_understood(grammar: str, expression: str) -> None:
    """Widths, conversions and names of formats change what the value would be."""
    assert read(grammar, expression)[1] is None


_NAME = st.sampled_from(["a", "user_id", "row.key", "req['b']"])
_TEXT = st.text("abcdef .,{}%()'", max_size=6)


@given(st.lists(st.tuples(_TEXT, _NAME), min_size=1, max_size=5), _TEXT)
def test_an_f_string_is_read_as_python_reads_it(pairs: list[tuple[str, str]], end: str) -> None:
    """Texts are those that the language itself finds, with their braces undone."""
    body = "".join(
        text.replace("{", "{{").replace("}", "}}") + f"{{{name}}}" for text, name in pairs
    )
    source = f'f"{body}{end.replace("{", "{{").replace("}", "}}")}"'
    ast.parse(source, mode="eval")
    template = read("python", source)[1]
    assert template is not None
    assert template.texts == (*(text for text, _ in pairs), end)


@given(st.text("ab'\"`\n{}% ", max_size=12), st.sampled_from(['"', "'", '"""']))
def test_a_literal_says_what_it_was_given(content: str, quote: str) -> None:
    """A literal is Python for the content, or there is none."""
    code = read("python", '"a"')[0]
    made = literal(code, content, quote)
    assert made is None or ast.literal_eval(made) == content


_VALUES = st.lists(
    st.sampled_from(["a = {v}", "b = '{v}'", "c LIKE '%{v}%'", "d >= {v}", "e = 3", "f = 'g'"]),
    min_size=1,
    max_size=6,
)


@given(_VALUES)
def test_as_many_placeholders_as_values(conditions: list[str]) -> None:
    """Each value is bound once, no quote of one stays, and constants stay as they are."""
    body = " AND ".join(conditions)
    template = read("python", f'f"SELECT x FROM y WHERE {body}"')[1]
    assert template is not None
    sql = bound(template)
    count = body.count("{v}")
    if not count:
        assert sql is None
        return
    assert sql is not None
    text = sql.sql(lambda _: "?")
    assert (text.count("?"), len(sql.values)) == (count, count)
    assert "'?" not in text
    assert text.count("'g'") == body.count("'g'")


_WORDS = st.lists(
    st.sampled_from(["-l", "--color=auto", "a/b.txt", "'two words'", '"x y"', "{v}", "'{v}'"]),
    max_size=6,
)


@given(_WORDS)
def test_words_are_those_of_the_shell(parts: list[str]) -> None:
    """What comes out is what the shell would start the program with."""
    line = " ".join(["prog", *parts, "end"])
    source = "f'''" + line + "'''"
    code, template = read("python", source)
    assert template is not None
    made = words(code, template)
    wanted = [repr(word) if word != "{v}" else "str(v)" for word in shlex.split(line)]
    assert made is not None
    assert [word.replace('"', "'") for word in made] == wanted
