"""How a dependency is brought to another version, in the words of its ecosystem."""

import json
import re

import msgspec

from secdaemon.pipeline.findings.model import Package
from secdaemon.pipeline.fixes.quote import fenced, inline
from secdaemon.pipeline.fixes.versions import package_kind

_NAME = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._/:+~-]{0,200}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~-]{0,80}")

_COMMANDS = {
    "cargo": ("shell", "cargo update -p {name} --precise {version}"),
    "composer": ("shell", "composer require --with-dependencies {name}:^{bare}"),
    "gem": ("ruby", 'gem "{name}", ">= {version}"'),
    "golang": ("shell", "go get {name}@v{bare}\ngo mod tidy"),
    "nuget": ("shell", "dotnet add package {name} --version {version}"),
    "pypi": ("text", "{name}>={version}"),
}
_IMAGE = {
    "deb": (
        "RUN apt-get update \\\n"
        "    && apt-get install -y --no-install-recommends --only-upgrade {name} \\\n"
        "    && dpkg --compare-versions \\\n"
        "        \"$(dpkg-query -W -f='${{Version}}' {name})\" ge '{version}' \\\n"
        "    && rm -rf /var/lib/apt/lists/*"
    ),
    "apk": "RUN apk add --no-cache --upgrade '{name}>={version}'",
    "rpm": "RUN dnf install -y '{name} >= {version}' && dnf clean all",
}
"""Instructions after which the package is at the version or the build has failed: an archive keeps
its newest version only, so that asking for one exactly would fail as soon as the next is there."""

_IN_IMAGE = "A base image that carries it does it best; until then, in the Dockerfile:"
_WHERE = {
    "cargo": "In the crate's folder (where a Cargo.toml asks for less, raise that first):",
    "composer": "In the project's folder:",
    "gem": "In the Gemfile, then `bundle update --conservative`:",
    "golang": "In the module's folder:",
    "nuget": "In the project's folder:",
    "pypi": "In the requirements (or as a constraint, where another package brings it in):",
    "npm": "In package.json, where another package brings it in (else raise its own line):",
}
_ARCHIVES = (".jar", ".war", ".ear")


class Upgrade(msgspec.Struct, frozen=True):
    """Where the new version goes, and the edit or command that puts it there, if we know one."""

    where: str
    edit: str


_UNKNOWN = Upgrade("Raise it where it is declared.", "")


def upgrade_edit(package: Package, version: str, path: str | None) -> Upgrade:
    """Return how `package` gets to `version`, for the manifest or lock file at `path`."""
    kind = package_kind(package)
    if not _NAME.fullmatch(package.name) or not _VERSION.fullmatch(version):
        return _UNKNOWN
    if kind == "golang" and package.name == "stdlib":
        return Upgrade(f"Build with Go {inline(version)} or later.", "")
    if kind == "maven" and package.name.count(":") == 1:
        return _maven(package.name, version, path or "")
    line = image_line(kind, package.name, version)
    if line is not None:
        return Upgrade(_IN_IMAGE, fenced(line, "dockerfile"))
    return _command(kind, package.name, version)


def _command(kind: str, name: str, version: str) -> Upgrade:
    if kind == "npm":
        overrides = json.dumps({"overrides": {name: f"^{version}"}}, indent=2)
        return Upgrade(_WHERE["npm"], fenced(overrides, "json"))
    if kind not in _COMMANDS:
        return _UNKNOWN
    language, command = _COMMANDS[kind]
    text = command.format(name=name, version=version, bare=version.removeprefix("v"))
    return Upgrade(_WHERE[kind], fenced(text, language))


def image_line(kind: str, name: str, version: str) -> str | None:
    """Return the Dockerfile instruction that brings a system's package to a version or fails.

    None for kinds that no system has. Name and version have to be plain words.
    """
    line = _IMAGE.get(kind)
    return line.format(name=name, version=version) if line else None


def _maven(name: str, version: str, path: str) -> Upgrade:
    group, artifact = name.split(":")
    if path.endswith("pom.xml"):
        lines = (
            "<dependencyManagement>",
            "  <dependencies>",
            "    <dependency>",
            f"      <groupId>{group}</groupId>",
            f"      <artifactId>{artifact}</artifactId>",
            f"      <version>{version}</version>",
            "    </dependency>",
            "  </dependencies>",
            "</dependencyManagement>",
        )
        return Upgrade("In pom.xml:", fenced("\n".join(lines), "xml"))
    lock = path.endswith((".lockfile", ".lock"))
    then = ", then renew the lock file with `./gradlew dependencies --write-locks`" if lock else ""
    constraint = (
        "dependencies {",
        "    constraints {",
        f'        implementation("{name}:{version}")',
        "    }",
        "}",
    )
    where = f"In the Gradle build file{then}:"
    if path.endswith(_ARCHIVES):
        where = "In the build that makes the archive; with Gradle:"
    return Upgrade(where, fenced("\n".join(constraint), "kotlin"))
