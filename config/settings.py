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
from typing import Any, get_type_hints

import msgspec

from secdaemon.config.environment import overrides
from secdaemon.config.paths import Home
from secdaemon.config.schema import (
    EMBEDDED_BASE,
    EMBEDDED_BASE_ID,
    SOURCE_FILES,
    Repository,
    Settings,
)
from secdaemon.config.yaml_text import parse_yaml


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
    if models.embedding is not None and models.embedding.startswith(("/", "~")):
        models = replace(models, embedding=place("models.embedding", models.embedding))
    hostfile = settings.training.hostfile
    if hostfile is not None:
        hostfile = place("training.hostfile", hostfile)
    return replace(
        settings,
        training=replace(settings.training, hostfile=hostfile),
        stage1=replace(settings.stage1, sources=sources),
        inbox=replace(settings.inbox, dir=place("inbox.dir", settings.inbox.dir)),
        publish=replace(settings.publish, folder=place("publish.folder", settings.publish.folder)),
        models=replace(
            models,
            base_dir=place("models.base_dir", models.base_dir),
            fine_tuned_dir=place("models.fine_tuned_dir", models.fine_tuned_dir),
        ),
    )
