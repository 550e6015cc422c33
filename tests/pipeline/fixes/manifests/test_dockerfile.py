"""Packages of an image's system."""

from typing import Any

import pytest

FILE = """# syntax=docker/dockerfile:1
FROM eclipse-temurin:21-jdk AS build
RUN apt-get update && apt-get upgrade -y

FROM ubuntu:24.04
# für alle
RUN apt-get update && apt-get install -y curl
USER app
CMD ["a"]
"""
ADDED = """RUN apt-get update \\
    && apt-get install -y --no-install-recommends --only-upgrade libssl3t64 \\
    && dpkg --compare-versions \\
        "$(dpkg-query -W -f='${Version}' libssl3t64)" ge '3.0.13-0ubuntu3.6' \\
    && rm -rf /var/lib/apt/lists/*
"""


def _asked(asked: Any, **changed: Any) -> Any:
    return asked(
        **{
            "name": "libssl3t64",
            "installed": "3.0.13-0ubuntu3.5",
            "version": "3.0.13-0ubuntu3.6",
            "ecosystem": "ubuntu",
            "path": None,
            "image": "ghcr.io/acme/server:latest",
            **changed,
        }
    )


def test_the_last_stage_upgrades_it(mend: Any, asked: Any) -> None:
    """The instruction stands right after the last FROM, where the user is still root."""
    (fix,) = mend({"server/Dockerfile": FILE}, _asked(asked))
    assert fix.after == FILE.replace("FROM ubuntu:24.04\n", f"FROM ubuntu:24.04\n{ADDED}")


def test_alpine(mend: Any, asked: Any) -> None:
    """Alpine is told the lowest version that will do."""
    wanted = _asked(
        asked, name="libcrypto3", installed="3.1.4-r1", version="3.1.4-r5", ecosystem="alpine"
    )
    (fix,) = mend({"Dockerfile": "FROM alpine:3.18"}, wanted)
    assert fix.after == "FROM alpine:3.18\nRUN apk add --no-cache --upgrade 'libcrypto3>=3.1.4-r5'"


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace("install -y curl", "upgrade -y && rm -rf /var/lib/apt/lists/*"),
        FILE.replace("install -y curl", "dist-upgrade -y"),
        FILE.replace("USER app\n", ADDED + "USER app\n"),
        "FROM gcr.io/distroless/java21\n",
        "FROM scratch\n",
        "FROM ${BASE}\n",
        "FROM alpine:3.18\n",
        "FROM debian:12 AS base\nUSER app\nFROM base\n",
        "",
        "no Dockerfile",
    ],
)
def test_nothing_to_add_or_nowhere(mend: Any, asked: Any, text: str) -> None:
    """What upgrades already, has no such package manager, or is not root there is left alone."""
    assert mend({"Dockerfile": text}, _asked(asked)) == ()


def test_which_dockerfile(mend: Any, asked: Any) -> None:
    """Of several the one named as the image is taken, else none."""
    texts = {"server/Dockerfile": FILE, "client/Dockerfile": FILE}
    assert [fix.path for fix in mend(texts, _asked(asked))] == ["server/Dockerfile"]
    assert mend(texts, _asked(asked, image="ghcr.io/acme/other:1")) == ()
    texts = {"Dockerfile.server": FILE, "Dockerfile.client": FILE}
    assert [fix.path for fix in mend(texts, _asked(asked))] == ["Dockerfile.server"]
