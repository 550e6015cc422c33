"""Settings are strict: what is wrong is refused in one line that names the key."""

import math
import re
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import ConfigError, defaults_text, load_settings

Tree = dict[str, Any]

SECTIONS = get_type_hints(Settings)
FIELDS = {
    f"{section}.{key}": kind
    for section, part in SECTIONS.items()
    for key, kind in get_type_hints(part, include_extras=True).items()
}


def plain(found: Settings) -> Tree:
    """Return settings as JSON has them."""
    tree: Tree = msgspec.json.decode(msgspec.json.encode(found))
    return tree


DEFAULTS = plain(load_settings(Home(root=Path("/nowhere"), chosen=False), environ={}))


def parts(kind: Any) -> Iterator[Any]:
    """Yield the members of a union, else the type itself."""
    if get_origin(kind) in (types.UnionType, Union):
        for member in get_args(kind):
            yield from parts(member)
    else:
        yield kind


def bare(kind: Any) -> Any:
    """Return a type without its limits: int, float, str, bool, tuple, Literal or None."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    return get_origin(kind) or kind


def wrong_types(kind: Any) -> Iterator[object]:
    """Yield values of types that a field does not take."""
    allowed = {bare(part) for part in parts(kind)}
    yield {"a": 1}
    if str not in allowed and Literal not in allowed:
        yield "text"
    if not allowed & {int, float}:
        yield 7
    if float not in allowed:
        yield 1.5
    if bool not in allowed:
        yield True
    if tuple not in allowed:
        yield [1]
    if types.NoneType not in allowed:
        yield None


def impossible_values(kind: Any) -> Iterator[object]:
    """Yield values of the right type that the field's limits forbid."""
    for part in parts(kind):
        if bare(part) is Literal:
            yield "sometimes"
        if bare(part) is tuple:
            inner = get_args(part)[0] if get_origin(part) is Annotated else part
            for item in impossible_values(get_args(inner)[0]):
                yield [item]
        if bare(part) is float:
            yield from (math.inf, -math.inf, math.nan)
        for limit in get_args(part)[1:] if get_origin(part) is Annotated else ():
            yield from beyond(limit)
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            yield {}


def beyond(limit: msgspec.Meta) -> Iterator[object]:
    """Yield what lies just outside a limit."""
    if limit.ge is not None:
        yield limit.ge - 1
    if limit.gt is not None:
        yield limit.gt
    if limit.le is not None:
        yield limit.le + 1
    if limit.lt is not None:
        yield limit.lt
    if limit.pattern is not None:
        yield "neither of them"
    if limit.min_length is not None:
        yield ""


def another(where: str) -> object:
    """Return a valid value of a field that is not its default."""
    section, key = where.split(".")
    default = DEFAULTS[section][key]
    special: Tree = {
        "github.api_url": "https://github.example/api",
        "github.repositories": [{"name": "owner/repo"}],
        "stage1.max_examples": 5,
        "notify.command": ["say", "done"],
        "stage2.method": ["replay", "ewc"],
        "schedule.hours": "22:00-07:00",
        "publish.model_repo": "{prefix}/model-{run_id}",
        "publish.dataset_repo": "mine/data",
    }
    options = [o for p in parts(FIELDS[where]) if bare(p) is Literal for o in get_args(p)]
    if options:
        special[where] = next(option for option in options if option != default)
    if where in special:
        return special[where]
    others: list[tuple[type, object]] = [
        (bool, default is False),
        (int, default + 1 if isinstance(default, int) else None),
        (float, default / 2 if isinstance(default, float) else None),
        (list, ["something", "else"]),
    ]
    if default is None and {int, float} & {bare(part) for part in parts(FIELDS[where])}:
        return 5
    return next((other for kind, other in others if isinstance(default, kind)), "/other/place")


def load(tree: object, tmp_path: Path, environ: dict[str, str] | None = None) -> Tree:
    """Write config.yaml, load the settings, return them as plain data."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return plain(load_settings(home, environ=environ or {}))


def refusal(tree: object, tmp_path: Path) -> str:
    """Return the sentence that a config.yaml is refused with."""
    with pytest.raises(ConfigError) as caught:
        load(tree, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("where", FIELDS)
def test_a_mistyped_key_names_the_right_one(where: str, tmp_path: Path) -> None:
    """One letter too many in any key is answered with that key."""
    section, key = where.split(".")
    text = refusal({section: {f"{key}x": 1}}, tmp_path)
    assert text == f"{where}x: unknown key; did you mean {where}?"


@pytest.mark.parametrize("section", SECTIONS)
def test_a_mistyped_section_names_the_right_one(section: str, tmp_path: Path) -> None:
    """One letter too many in any section is answered with that section."""
    text = refusal({f"{section}x": {}}, tmp_path)
    assert text == f"{section}x: unknown key; did you mean {section}?"


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({"rank": 8}, "rank: unknown key; did you mean lora.rank?"),
        ({"training": {"rank": 8}}, "training.rank: unknown key; did you mean lora.rank?"),
        ({"stage1": {"qqqqqqqq": 1}}, "stage1.qqqqqqqq: unknown key"),
        ({3: {}}, "3: unknown key"),
        (
            {"github": {"repositories": [{"name": "a/b", "brunch": "x"}]}},
            "github.repositories[0].brunch: unknown key; did you mean github.repositories[0].branch?",
        ),
    ],
)
def test_unknown_keys_elsewhere(tree: object, text: str, tmp_path: Path) -> None:
    """A key of another section, of no section and of a repository are named too."""
    assert refusal(tree, tmp_path) == text


@pytest.mark.parametrize("where", FIELDS)
def test_wrong_types_name_the_key(where: str, tmp_path: Path) -> None:
    """No field takes a value of another type, and the sentence begins with the key."""
    section, key = where.split(".")
    for value in wrong_types(FIELDS[where]):
        assert re.match(
            rf"{re.escape(where)}(\[\d\])?: expected ", refusal({section: {key: value}}, tmp_path)
        ), value


@pytest.mark.parametrize("where", FIELDS)
def test_impossible_values_name_the_key(where: str, tmp_path: Path) -> None:
    """Every field but the switches has limits, and the sentence begins with the key."""
    section, key = where.split(".")
    values = list(impossible_values(FIELDS[where]))
    assert bool(values) == (bare(FIELDS[where]) is not bool)
    for value in values:
        text = refusal({section: {key: value}}, tmp_path)
        assert re.match(rf"{re.escape(where)}(\[\d\])?: ", text), value


@pytest.mark.parametrize("where", FIELDS)
def test_the_variable_wins_over_the_file_and_the_file_over_the_default(
    where: str, tmp_path: Path
) -> None:
    """$SECDAEMON_<SECTION>__<KEY> beats config.yaml, which beats defaults.yaml, for every key."""
    section, key = where.split(".")
    wanted, default = another(where), DEFAULTS[section][key]
    variable = {f"SECDAEMON_{section}__{key}".upper(): yaml.safe_dump(wanted)}
    rest: Tree = {"lora": {"dropout": 0}} if key == "grad_checkpoint" else {}
    for values, environ in (({key: wanted}, {}), ({}, variable), ({key: default}, variable)):
        found = load({**rest, section: values}, tmp_path, environ)[section][key]
        if isinstance(wanted, list) and key == "repositories":
            assert [item["name"] for item in found] == ["owner/repo"]
        else:
            assert found == wanted


def test_the_variables_of_older_scripts(tmp_path: Path) -> None:
    """$OLMO_… beat config.yaml and are beaten by $SECDAEMON_…; empty ones say nothing."""
    tree = {"models": {"base": "mine", "base_dir": "/mine"}}
    olmo = {"OLMO_BASE_MODELS_DIR": "/olmo", "OLMO_DEFAULT_BASE_MODEL": "olmo"}
    models = load(tree, tmp_path, olmo)["models"]
    assert (models["base"], models["base_dir"]) == ("olmo", "/olmo")
    models = load(tree, tmp_path, {**olmo, "SECDAEMON_MODELS__BASE": "embedded:tiny"})["models"]
    assert (models["base"], models["base_id"]) == ("embedded:tiny", "secdaemon/embedded-tiny")
    assert load(tree, tmp_path, dict.fromkeys(olmo, ""))["models"]["base"] == "mine"


def test_a_variable_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A mistyped variable is an error like a mistyped key; ours without a key are left alone."""
    with pytest.raises(ConfigError, match=r"stage2\.iteration: .*stage2\.iterations\?"):
        load({}, tmp_path, {"SECDAEMON_STAGE2__ITERATION": "5"})
    assert load({}, tmp_path, {"SECDAEMON_HOME": "/x", "SECDAEMON_LAUNCHD": "1"})


def test_a_variable_touches_its_own_section_alone(tmp_path: Path) -> None:
    """Sections that share a YAML anchor are still two."""
    config = tmp_path / "config.yaml"
    config.write_text("stage1: &same {iterations: 3}\nstage2: *same\n", encoding="utf-8")
    environ = {"SECDAEMON_STAGE1__ITERATIONS": "4"}
    found = load_settings(Home(root=tmp_path, chosen=True), environ=environ)
    assert (found.stage1.iterations, found.stage2.iterations) == (4, 3)


def test_another_file_is_read_instead(tmp_path: Path) -> None:
    """--config replaces the home's config.yaml and has to be there."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_text("training: {seed: 1}", encoding="utf-8")
    other = tmp_path / "other.yaml"
    with pytest.raises(ConfigError, match=r"other\.yaml: cannot be read"):
        load_settings(home, other, {})
    other.write_text("lora: {rank: 2}", encoding="utf-8")
    found = load_settings(home, other, {})
    assert (found.training.seed, found.lora.rank) == (0, 2)


@pytest.mark.parametrize("text", ["", "# nothing\n", "stage1:\nlora:\n", "{}", "stage1: {}\n"])
def test_empty_sections_change_nothing(text: str, tmp_path: Path) -> None:
    """A file or a section without keys takes the defaults."""
    home = Home(root=tmp_path, chosen=True)
    before = load_settings(home, environ={})
    home.config_file.write_text(text, encoding="utf-8")
    assert load_settings(home, environ={}) == before


@pytest.mark.parametrize("number", ["2e-5", "2E-5", "2.0e-5", "0.00002", "+2e-5", "20e-6"])
def test_every_way_to_write_a_small_number(number: str, tmp_path: Path) -> None:
    """YAML 1.1 reads 2e-5 as text; here it is the number that everybody means."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_text(f"stage1: {{learning_rate: {number}}}", encoding="utf-8")
    assert math.isclose(load_settings(home, environ={}).stage1.learning_rate, 2e-5)
    environ = {"SECDAEMON_STAGE2__LEARNING_RATE": number}
    assert math.isclose(load_settings(home, environ=environ).stage2.learning_rate, 2e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("a: 2024-13-45", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("just words", "expected sections such as `inbox:`, found str"),
        ("- inbox", "expected sections such as `inbox:`, found list"),
    ],
)
def test_a_file_that_holds_no_settings(text: str, message: str, tmp_path: Path) -> None:
    """What is no YAML, or no mapping, is refused with the file's name."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(home, environ={})
    assert str(caught.value).startswith(f"{home.config_file}: {message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused with the file's name."""
    home = Home(root=tmp_path, chosen=True)
    home.config_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be read"):
        load_settings(home, environ={})


def test_grad_checkpoint_and_dropout_are_not_combined(tmp_path: Path) -> None:
    """The pair that computes wrong gradients is refused by both names."""
    text = refusal({"training": {"grad_checkpoint": True}}, tmp_path)
    assert text.startswith("training.grad_checkpoint needs lora.dropout 0")
    assert load({"training": {"grad_checkpoint": True}, "lora": {"dropout": 0}}, tmp_path)


def test_a_folder_of_nobody_names_the_key(tmp_path: Path) -> None:
    """`~name` without such a user is a wrong setting and no crash."""
    text = refusal({"models": {"base_dir": "~nobody-of-this-name/models"}}, tmp_path)
    assert text.startswith("models.base_dir: nobody of this name has a home folder")
    text = refusal({"stage1": {"sources": ["embedded", "~nobody-of-this-name/a.jsonl"]}}, tmp_path)
    assert text.startswith("stage1.sources: nobody of this name has a home folder")


def test_stage1_files_start_from_the_home(tmp_path: Path) -> None:
    """A file among the sources becomes absolute; names and data set ids stay as they are."""
    sources = ["embedded", "owner/data", "rows.jsonl", "./x/rows", "/abs/rows.parquet"]
    found = load({"stage1": {"sources": sources}}, tmp_path)["stage1"]["sources"]
    rows = [f"{tmp_path}/rows.jsonl", f"{tmp_path}/x/rows"]
    assert found == ["embedded", "owner/data", *rows, "/abs/rows.parquet"]


KEYS = sorted({where.split(".")[1] for where in FIELDS})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.binary(max_size=4),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(["name", "branch"]), SCALARS), inner, max_size=3),
    ),
    max_leaves=5,
)
TREES = st.dictionaries(
    st.one_of(st.sampled_from(list(SECTIONS)), SCALARS),
    st.one_of(
        st.dictionaries(st.one_of(st.sampled_from(KEYS), SCALARS), VALUES, max_size=3), VALUES
    ),
    max_size=3,
)


@given(TREES)
@settings(deadline=None)  # writing YAML is slow on a busy machine
def test_any_tree_is_settings_or_one_line(tree: Tree) -> None:
    """Whatever YAML can hold is either valid or refused in one line, and raises nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert load(tree, Path(folder))
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - both ends are right


@given(
    st.sampled_from(sorted(FIELDS)),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
@settings(deadline=None)
def test_any_variable_is_a_value_or_one_line(where: str, text: str) -> None:
    """Whatever a variable can hold is either valid or refused in one line."""
    environ = {"SECDAEMON_" + where.upper().replace(".", "__"): text}
    try:
        load_settings(Home(root=Path("/nowhere"), chosen=True), environ=environ)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - both ends are right


def test_the_schema_and_the_defaults_have_the_same_keys() -> None:
    """Every field of the schema stands in defaults.yaml, in its order, and no other key does."""
    tree = yaml.safe_load(defaults_text())
    assert [f"{section}.{key}" for section in tree for key in tree[section]] == list(FIELDS)
