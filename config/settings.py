"""The settings: one typed schema, filled from defaults.yaml, config.yaml and the environment.

Later sources win: defaults.yaml, config.yaml, $OLMO_BASE_MODELS_DIR and
$OLMO_DEFAULT_BASE_MODEL, $SECDAEMON_<SECTION>__<KEY>.
"""

import difflib
import math
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from secdaemon.config.environment import overrides
from secdaemon.config.paths import Home
from secdaemon.config.yaml_text import parse_yaml

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0, le=1)]
Name = Annotated[str, Meta(min_length=1)]

EMBEDDED_BASE = "embedded:tiny"
EMBEDDED_BASE_ID = "secdaemon/embedded-tiny"
SOURCE_FILES = (".jsonl", ".ndjson", ".parquet")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the settings; an unknown key in it is an error."""


class Inbox(Section, frozen=True):
    """The inbox folder and when a file in it counts as complete."""

    dir: Name
    stable_seconds: Seconds
    rescan_seconds: Annotated[float, Meta(gt=0)]
    broken_seconds: Seconds


class Artifact(Section, frozen=True):
    """Limits for what an artifact may unpack to."""

    max_files: Positive
    max_total_bytes: Positive
    max_file_bytes: Positive
    max_ratio: Positive
    max_depth: NotNegative


class Repository(Section, frozen=True):
    """One watched GitHub repository."""

    name: Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s]+$")]
    workflow: Name = "main-ci-cd.yml"
    branch: Name = "main"
    events: tuple[Name, ...] = ("push", "schedule", "workflow_dispatch")
    artifacts: tuple[Name, ...] = (
        "*zap*",
        "*trivy*",
        "*sarif*",
        "*osv*",
        "*gitleaks*",
        "*semgrep*",
        "*checkov*",
    )
    checkout: Name | None = None


class Github(Section, frozen=True):
    """Which repositories are polled, and how often."""

    api_url: Annotated[str, Meta(pattern=r"^https?://")]
    poll_seconds: Annotated[float, Meta(gt=0)]
    repositories: tuple[Repository, ...]


class Models(Section, frozen=True):
    """The base model and where models live."""

    base: Name
    base_id: Name
    base_dir: Name
    fine_tuned_dir: Name


class Training(Section, frozen=True):
    """What both stages train with."""

    batch_size: Positive
    checkpoint_every: Positive
    max_seq_length: Annotated[int, Meta(ge=16)]
    mask_prompt: bool
    warmup_ratio: Share
    grad_checkpoint: bool
    seed: NotNegative


class Stage1(Section, frozen=True):
    """General training on public vulnerability fixes."""

    sources: Annotated[tuple[Name, ...], Meta(min_length=1)]
    max_age_days: Seconds
    iterations: Positive
    learning_rate: Rate
    max_examples: Positive | None


class Stage2(Section, frozen=True):
    """Training on the project's own findings."""

    iterations: Positive
    learning_rate: Rate
    replay_ratio: Share
    quality_weight_multiplier: Annotated[float, Meta(ge=1)]


class Lora(Section, frozen=True):
    """The adapter's shape."""

    rank: Positive
    scale: Annotated[float, Meta(gt=0)]
    dropout: Annotated[float, Meta(ge=0, lt=1)]
    layers: Positive
    target_modules: Annotated[tuple[Name, ...], Meta(min_length=1)]


class Evaluation(Section, frozen=True):
    """How adapters are measured."""

    batch_size: Positive
    max_examples: Positive
    generate_examples: NotNegative
    max_tokens: Positive
    bootstrap_samples: Annotated[int, Meta(ge=100)]


class Retention(Section, frozen=True):
    """How much of Stage 1 must remain."""

    threshold: Share
    when_undefined: Literal["hold", "pass"]


class Gates(Section, frozen=True):
    """What else must hold before a model is published."""

    improvement: bool


class Publish(Section, frozen=True):
    """Where a finished adapter goes."""

    enabled: bool
    target: Literal["huggingface", "folder"]
    folder: Name
    prefix: Name | None
    private: bool
    merged: bool
    model_repo: Name
    dataset_repo: Name


class Schedule(Section, frozen=True):
    """Retries and manners of the workers."""

    max_attempts: Positive
    backoff_seconds: Seconds
    backoff_max_seconds: Seconds
    stalled_seconds: Annotated[float, Meta(gt=0)]
    nice: Annotated[int, Meta(ge=0, le=19)]


class Notify(Section, frozen=True):
    """Who is told when a run ends."""

    command: tuple[Name, ...] | None


class Settings(Section, frozen=True):
    """All settings, validated."""

    inbox: Inbox
    artifact: Artifact
    github: Github
    models: Models
    training: Training
    stage1: Stage1
    stage2: Stage2
    lora: Lora
    evaluation: Evaluation
    retention: Retention
    gates: Gates
    publish: Publish
    schedule: Schedule
    notify: Notify

    def __post_init__(self) -> None:
        """Refuse combinations that no single key shows."""
        if self.training.grad_checkpoint and self.lora.dropout > 0:
            msg = (
                "training.grad_checkpoint needs lora.dropout 0: with both, mlx-lm recomputes "
                "a layer under another dropout mask and its gradients are wrong"
            )
            raise ValueError(msg)


class ConfigError(Exception):
    """A setting is wrong; the message is one line and names the key."""

    def __init__(self, message: str) -> None:
        """Take the message; a line break in a foreign key becomes a space."""
        super().__init__(" ".join(message.split()))


def defaults_text() -> str:
    """Return defaults.yaml, with its comment on every key."""
    return resources.files(__package__).joinpath("defaults.yaml").read_text(encoding="utf-8")


def template_text() -> str:
    """Return what `secdaemon init` writes: the defaults, without the shared model folders.

    Those two stay comments, so that a home named with --home keeps its models inside itself.
    """
    return re.sub(r"(?m)^  (base_dir|fine_tuned_dir):", r"  # \1:", defaults_text())


def load_settings(
    home: Home, config_file: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings of a home, with every path in them absolute.

    Args:
        home: whose config.yaml is read, and what relative paths start from.
        config_file: read instead of the home's config.yaml; it has to exist.
        environ: the environment; the process's own where None.

    Raises:
        ConfigError: a file cannot be read, a key is unknown, a type or a value is wrong.
    """
    environ = os.environ if environ is None else environ
    tree = _parse(defaults_text(), "defaults.yaml")
    given: dict[str, Any] = {}
    source = config_file or home.config_file
    if config_file is not None or source.exists():
        given = _parse(_read(source), str(source))
    for section, key, value in overrides(environ):
        wanted = given.get(section)
        if wanted is None or isinstance(wanted, dict):
            given[section] = {**(wanted or {}), key: value}
    if home.chosen:
        tree["models"].update(base_dir="models/base", fine_tuned_dir="models/fine-tuned")
    _merge(tree, given)
    return _with_paths(_convert(tree), home)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error})"
        raise ConfigError(msg) from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        tree = parse_yaml(text)
    except ValueError as error:
        msg = f"{name}: not valid YAML: {error}"
        raise ConfigError(msg) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        msg = f"{name}: expected sections such as `inbox:`, found {type(tree).__name__}"
        raise ConfigError(msg)
    return tree


def _merge(tree: dict[str, Any], given: Mapping[Any, Any]) -> None:
    """Lay `given` over `tree`, section by section; an empty section changes nothing."""
    for section, values in given.items():
        if section not in tree:
            _unknown(str(section), str(section), Settings)
        if values is None:
            continue
        if not isinstance(values, dict):
            msg = f"{section}: expected keys below it, found {values!r}"
            raise ConfigError(msg)
        kind = get_type_hints(Settings)[section]
        for key, value in values.items():
            if key not in kind.__struct_fields__:
                _unknown(f"{section}.{key}", str(key), kind)
            if isinstance(value, float) and not math.isfinite(value):
                msg = f"{section}.{key}: expected a finite number (found {value})"
                raise ConfigError(msg)
            tree[section][key] = value


def _unknown(where: str, key: str, kind: type[msgspec.Struct]) -> None:
    """Refuse an unknown key and name the nearest valid one.

    Raises:
        ConfigError: always.
    """
    prefix = where[: -len(key)]
    near = difflib.get_close_matches(key, kind.__struct_fields__, n=1)
    elsewhere = [
        f"{section}.{key}"
        for section, part in get_type_hints(Settings).items()
        if key in part.__struct_fields__
    ]
    nearest = elsewhere[:1] or [prefix + name for name in near]
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    msg = f"{where}: unknown key{hint}"
    raise ConfigError(msg)


def _convert(tree: dict[str, Any]) -> Settings:
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        where = path.strip("`").lstrip(".")
        if field := re.search(r"(?s)unknown field `(.+)`", text):
            _unknown(f"{where}.{field[1]}", field[1], Repository)
        value = _at(tree, where) if where else None
        found = f" (found {value!r})" if isinstance(value, str | int | float) else ""
        msg = f"{where + ': ' if where else ''}{text[:1].lower()}{text[1:]}{found}"
        raise ConfigError(msg) from error


def _at(tree: object, where: str) -> object:
    """Return the value at a path such as `github.repositories[0].name`, None without one."""
    for part in re.findall(r"[^.\[\]]+", where):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdigit():
            tree = tree[int(part)]
        else:
            return None
    return tree


def _is_path(source: str) -> bool:
    """Tell a file from the id of a data set, which has a slash as well."""
    return source.startswith(("/", "~", ".")) or source.endswith(SOURCE_FILES)


def _with_paths(settings: Settings, home: Home) -> Settings:
    """Return the settings with their folders made absolute and the embedded model named as such."""

    def place(where: str, value: str) -> str:
        try:
            return str(home.resolve(value))
        except OSError as error:
            msg = f"{where}: {error.strerror} (found {value!r})"
            raise ConfigError(msg) from error

    replace = msgspec.structs.replace
    models = settings.models
    if models.base == EMBEDDED_BASE:
        models = replace(models, base_id=EMBEDDED_BASE_ID)
    sources = tuple(
        place("stage1.sources", source) if _is_path(source) else source
        for source in settings.stage1.sources
    )
    return replace(
        settings,
        stage1=replace(settings.stage1, sources=sources),
        inbox=replace(settings.inbox, dir=place("inbox.dir", settings.inbox.dir)),
        publish=replace(settings.publish, folder=place("publish.folder", settings.publish.folder)),
        models=replace(
            models,
            base_dir=place("models.base_dir", models.base_dir),
            fine_tuned_dir=place("models.fine_tuned_dir", models.fine_tuned_dir),
        ),
    )
