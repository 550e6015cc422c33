"""The user of an image, its health check, and the commands that build it."""

import pytest

from secdaemon.pipeline.fixes.configuration.base_images import base_of
from secdaemon.pipeline.fixes.configuration.dockerfile import KIND
from secdaemon.pipeline.fixes.configuration.dockerfile_text import commands, read_dockerfile


def mended(text: str, check: str) -> list[str]:
    """Return what each way to mend a check's first weakness adds or changes; [] for none."""
    weakness = next((w for w in KIND.weaknesses(text) if w.check == check), None)
    if weakness is None:
        return []
    lines = text.split("\n")
    return [
        "\n".join(line for line in repair.after.split("\n") if line not in lines)
        for repair in KIND.mends[check](text, weakness)
    ]


CMD = 'CMD ["server"]\n'
ALPINE_USER = "RUN addgroup -S app && adduser -S -G app app\nUSER app"
DEBIAN_USER = (
    "RUN groupadd --system app && useradd --system --gid app --no-create-home app\nUSER app"
)
NUMERIC = "USER 10001:10001"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"FROM alpine:3.20\n{CMD}", [ALPINE_USER, NUMERIC]),
        (f"FROM python:3.12-alpine\n{CMD}", [ALPINE_USER, NUMERIC]),
        (f"FROM debian:12-slim\n{CMD}", [DEBIAN_USER, NUMERIC]),
        (f"FROM docker.io/library/eclipse-temurin:21-jre\n{CMD}", [DEBIAN_USER, NUMERIC]),
        (f"FROM amazoncorretto:21\n{CMD}", [NUMERIC]),
        (f"FROM registry.example.org/base:1\n{CMD}", [NUMERIC]),
        (f"FROM scratch\nCOPY server /server\n{CMD}", [NUMERIC]),
        (f"FROM node:22-slim\n{CMD}", ["USER node"]),
        (f"FROM gcr.io/distroless/java21-debian12\n{CMD}", ["USER nonroot"]),
        (f"FROM mcr.microsoft.com/dotnet/aspnet:8.0\n{CMD}", ["USER app"]),
        (f"FROM alpine:3.20\nRUN adduser -D -u 1000 web\n{CMD}", ["USER web"]),
        (f"FROM ubuntu:24.04\nRUN useradd -m -s /bin/bash svc\nUSER root\n{CMD}", ["USER svc"]),
        (f"FROM golang:1 AS b\nUSER x\nFROM debian:12\n{CMD}", [DEBIAN_USER, NUMERIC]),
        (f"FROM alpine:3.20 AS b\nRUN adduser -D web\nFROM b\n{CMD}", ["USER web"]),
    ],
)
def test_the_user_fits_the_image(text: str, expected: list[str]) -> None:
    """One that the image has, else one made as its family makes them, else a number."""
    assert mended(text, "root-user") == expected


@pytest.mark.parametrize(
    "text",
    [
        f"FROM nginx:1.27\n{CMD}",
        f"FROM postgres:16\n{CMD}",
        f"FROM php:8-apache\n{CMD}",
        f"FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n{CMD}",
        f"FROM debian:12\nEXPOSE 80\n{CMD}",
        f"FROM debian:12\nVOLUME /data\n{CMD}",
        'FROM debian:12\nENTRYPOINT ["/entrypoint.sh"]\n',
        "FROM debian:12\nCMD exec gosu app server\n",
        "FROM gradle:8\nCMD gradle bootRun\n",
        "FROM registry.example.org/tools:1\nRUN make\n",
    ],
)
def test_what_may_have_to_be_root_is_left_alone(text: str) -> None:
    """An image or a start-up that may need root, or write where only root may, has no fix."""
    assert mended(text, "root-user") == []


@pytest.mark.parametrize(
    "image",
    ["nginxinc/nginx-unprivileged:1", "gcr.io/distroless/static:nonroot", "cgr.dev/chainguard/jre"],
)
def test_images_with_a_user_are_fine(image: str) -> None:
    """An image that has its own unprivileged user needs no other."""
    found = {weakness.check for weakness in KIND.weaknesses(f"FROM {image}\n{CMD}")}
    assert "root-user" not in found


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        (f"FROM alpine:3.20\nEXPOSE 8080\n{CMD}", "CMD nc -z 127.0.0.1 8080 || exit 1"),
        (f"FROM python:3.12-alpine\nEXPOSE 8000/tcp\n{CMD}", 'CMD ["python", "-c", "import socket'),
        (f"FROM node:22\nEXPOSE 3000 3001\n{CMD}", "connect(3000, "),
        (f"FROM eclipse-temurin:21\nEXPOSE 8080\n{CMD}", "/dev/tcp/127.0.0.1/8080"),
    ],
)
def test_health_is_asked_with_what_the_image_has(text: str, probe: str) -> None:
    """The exposed port is asked by a tool of the base image."""
    (added,) = mended(text, "missing-healthcheck")
    assert added.startswith("HEALTHCHECK ")
    assert probe in added


@pytest.mark.parametrize(
    "text",
    [
        f"FROM alpine:3.20\n{CMD}",
        f"FROM alpine:3.20\nEXPOSE $PORT\n{CMD}",
        f"FROM alpine:3.20\nEXPOSE 53/udp\n{CMD}",
        f"FROM scratch\nEXPOSE 80\n{CMD}",
        f"FROM gcr.io/distroless/base\nEXPOSE 80\n{CMD}",
        f"FROM registry.example.org/base\nEXPOSE 80\n{CMD}",
        "FROM alpine:3.20\nEXPOSE 8080\n",
    ],
)
def test_health_is_not_made_up(text: str) -> None:
    """Without a port, a tool or a process there is nothing to ask."""
    assert mended(text, "missing-healthcheck") == []


@pytest.mark.parametrize(
    ("check", "line", "expected"),
    [
        (
            "apt-recommends",
            "RUN apt-get install -y a",
            "RUN apt-get install -y --no-install-recommends a",
        ),
        (
            "apt-recommends",
            "RUN apt-get -y install a",
            "RUN apt-get -y install --no-install-recommends a",
        ),
        ("apt-recommends", "RUN apt-get install --no-install-recommends a", None),
        ("apt-recommends", "RUN echo apt-get install a", None),
        ("apt-recommends", 'RUN ["apt-get", "install", "a"]', None),
        ("apk-cache", "RUN apk add a", "RUN apk add --no-cache a"),
        ("apk-cache", "RUN --mount=type=cache,target=/c apk add a", None),
        ("yum-cache", "RUN dnf install -y a", "RUN dnf install -y a && dnf clean all"),
        ("yum-cache", "RUN yum install -y a && yum clean all", None),
        ("unverified-download", "RUN curl -k -o a https://b", "RUN curl -o a https://b"),
        ("unverified-download", "RUN curl https://b -o a -fsSLk", "RUN curl https://b -o a -fsSL"),
        ("unverified-download", "RUN curl https://b --insecure", "RUN curl https://b"),
        ("unverified-download", "RUN curl -o k https://b -okay", None),
        (
            "unverified-download",
            "RUN cd x && wget --no-check-certificate -q b",
            "RUN cd x && wget -q b",
        ),
        ("sudo", "RUN sudo make", "RUN make"),
        ("sudo", "USER me\nRUN sudo make", None),
        ("sudo", "RUN sudo -u me make", None),
        (
            "update-alone",
            "RUN apt-get update\nRUN apt-get install a",
            "RUN apt-get update && apt-get install a",
        ),
        ("update-alone", "RUN apt-get update\nCOPY a b\nRUN apt-get install a", None),
        ("update-alone", "RUN apt-get update && apt-get install a", None),
        ("add-for-copy", "ADD a b", "COPY a b"),
        ("add-for-copy", "add --chown=a:b c/*.jar d", "COPY --chown=a:b c/*.jar d"),
        ("add-for-copy", "ADD a.tar.gz b", None),
        ("add-for-copy", "ADD https://example.org/a b", None),
        ("add-for-copy", "ADD $FILE b", None),
        ("add-for-copy", "ADD files.* b", None),
        ("maintainer", "MAINTAINER me <me@example.org>", 'LABEL maintainer="me <me@example.org>"'),
    ],
)
def test_commands(check: str, line: str, expected: str | None) -> None:
    """A command is mended where it stands, and left alone where it is right or unclear."""
    found = mended(f"FROM debian:12\n{line}\n", check)
    assert found == ([] if expected is None else [expected])


def test_the_grammar_of_the_file() -> None:
    """Continuations, comments in them, here-documents and stages are read as Docker reads them."""
    text = (
        "# escape=\\\nARG TAG=3\nFROM --platform=linux/amd64 a:${TAG} AS One\n"
        "RUN x && \\\n  # note\n  y 'p && q'\nRUN <<EOF\nz\nEOF\nFROM one\ncopy a b\n"
    )
    file = read_dockerfile(text)
    assert file is not None
    assert [(stage.image, stage.name) for stage in file.stages] == [("a:3", "one"), ("one", "")]
    first, second = file.stages[0].instructions
    assert (first.line, first.end_line, first.said) == (4, 6, "x && y 'p && q'")
    assert [[word.text for word in words] for words in commands(first)] == [
        ["x"],
        ["y", "'p && q'"],
    ]
    assert second.has_heredoc
    assert [stage.name for stage in file.chain] == ["one", ""]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM",
        "SELECT a\nFROM b\n",
        "FROM a\nJUMP b\n",
        "RUN a\nFROM b\n",
        "# escape=`\nFROM a\n",
        "FROM a\nRUN <<EOF\nx\n",
        "FROM a\n" * 2_000,
    ],
)
def test_what_is_no_dockerfile(text: str) -> None:
    """A text that Docker would refuse, or that is written in its other way, is not read."""
    assert read_dockerfile(text) is None


def test_images_are_known_by_name() -> None:
    """Registry, tag and digest do not matter to what an image is."""
    assert base_of("docker.io/library/alpine@sha256:00").family == "alpine"
    assert base_of("localhost:5000/alpine").family == "unknown"
    assert base_of("openjdk:17").family == "unknown"
    assert base_of("openjdk:17-slim").family == "debian"


@pytest.mark.parametrize(
    "instructions",
    [
        "ONBUILD COPY . /app",
        "RUN mkdir -p /app/uploads",
        'CMD ["bundle", "exec", "puma"]',
        "CMD php artisan serve",
    ],
)
def test_what_root_alone_can_write_is_not_taken_from_it(instructions: str) -> None:
    """A directory for data, a framework that writes beside its code, a base of other builds."""
    assert mended(f"FROM debian:12\n{CMD}{instructions}\n", "root-user") == []


def test_a_directory_that_is_given_away_is_the_users() -> None:
    """Who makes a directory and hands it over has thought of its owner."""
    given = "RUN mkdir /data && chown node /data\n"
    assert mended(f"FROM node:22\n{given}{CMD}", "root-user") == ["USER node"]


def test_yum_cleans_up_for_dnf() -> None:
    """One is another name of the other."""
    text = "FROM fedora:40\nRUN dnf -y install a && yum -y install b && yum clean all\n"
    assert mended(text, "yum-cache") == []
