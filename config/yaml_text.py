"""YAML 1.1 as PyYAML reads it safely, but `2e-5` is a number, as everybody who writes it means."""

import re

import yaml


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader with one more form of a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str) -> object:
    """Return what one YAML document holds.

    Raises:
        ValueError: it is not valid YAML, or nested too deeply.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        msg = " ".join(str(error).split())
        raise ValueError(msg) from error
