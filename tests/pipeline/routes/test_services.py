"""The sample services' requests reach their handlers: the aims of the issue, as `bench` prints them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import msgspec, pathlib, sys
from benchmarks.routes import measured_all
sys.stdout.buffer.write(msgspec.json.encode(measured_all(pathlib.Path(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what the benchmark measures, made once."""
    folder = tmp_path_factory.mktemp("services")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], check=True, capture_output=True, cwd=ROOT
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_mapped_urls_are_right(services: list[dict[str, Any]]) -> None:
    """At least 95 of 100 mapped URLs are at the handler that answers them."""
    mapped, right = (sum(each[name] for each in services) for name in ("mapped", "right"))
    assert right >= 0.95 * mapped, [each["wrong"] for each in services]


def test_urls_with_a_handler_are_mapped(services: list[dict[str, Any]]) -> None:
    """At least 80 of 100 requests that have a handler are mapped, in every framework."""
    for each in services:
        assert each["found"] >= 0.8 * each["handled"], each


def test_every_framework_has_two_services(services: list[dict[str, Any]]) -> None:
    """Each framework is tried in more than one style."""
    names = [each["name"].partition("-")[0] for each in services]
    assert {name: names.count(name) > 1 for name in names} == dict.fromkeys(
        ("express", "fastapi", "flask", "ktor", "spring"), True
    )
