"""The variables that override settings: $OLMO_... of older scripts, $SECDAEMON_<SECTION>__<KEY>."""

from collections.abc import Iterator, Mapping

from secdaemon.config.yaml_text import parse_yaml


def overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, str, object]]:
    """Yield (section, key, value) for each variable that overrides one key."""
    for variable, key in (
        ("OLMO_BASE_MODELS_DIR", "base_dir"),
        ("OLMO_DEFAULT_BASE_MODEL", "base"),
    ):
        if environ.get(variable):
            yield "models", key, environ[variable]
    for name in sorted(environ):
        if not name.startswith("SECDAEMON_") or "__" not in name:
            continue
        section, _, key = name.removeprefix("SECDAEMON_").lower().partition("__")
        try:
            value = parse_yaml(environ[name])
        except ValueError:
            value = environ[name]
        yield section, key, value
