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
    "composer": ("shell", "composer require {name}:^{version}"),
    "gem": ("ruby", 'gem "{name}", ">= {version}"'),
    "golang": ("shell", "go get {name}@v{bare}\ngo mod tidy"),
    "nuget": ("shell", "dotnet add package {name} --version {version}"),
    "pypi": ("text", "{name}>={version}"),
    "deb": (
        "dockerfile",
        (
            "RUN apt-get update && apt-get install -y --only-upgrade {name} \\\n"
            "    && rm -rf /var/lib/apt/lists/*"
        ),
    ),
    "apk": ("dockerfile", "RUN apk upgrade --no-cache {name}"),
    "rpm": ("dockerfile", "RUN dnf upgrade -y {name} && dnf clean all"),
}
_WHERE = {
    "cargo": "In the crate's folder:",
    "composer": "In the project's folder:",
    "gem": "In the Gemfile, then `bundle update --conservative`:",
    "golang": "In the module's folder:",
    "nuget": "In the project's folder:",
    "pypi": "In the requirements (or as a constraint, where another package brings it in):",
    "deb": "A base image that carries it does it best; until then, in the Dockerfile:",
    "apk": "A base image that carries it does it best; until then, in the Dockerfile:",
    "rpm": "A base image that carries it does it best; until then, in the Dockerfile:",
    "npm": "In package.json, where another package brings it in (else raise its own line):",
}


class Upgrade(msgspec.Struct, frozen=True):
    """Where the new version goes, and the edit or command that puts it there, if we know one."""

    where: str
    edit: str


def upgrade_edit(package: Package, version: str, path: str | None) -> Upgrade:
    """Return how `package` gets to `version`, for the manifest or lock file at `path`."""
    kind = package_kind(package)
    if not _NAME.fullmatch(package.name) or not _VERSION.fullmatch(version):
        return Upgrade("Raise it where it is declared.", "")
    if kind == "golang" and package.name == "stdlib":
        return Upgrade(f"Build with Go {inline(version)} or later.", "")
    if kind == "maven" and package.name.count(":") == 1:
        return _maven(package.name, version, path or "")
    if kind == "npm":
        overrides = json.dumps({"overrides": {package.name: version}}, indent=2)
        return Upgrade(_WHERE["npm"], fenced(overrides, "json"))
    if kind not in _COMMANDS:
        return Upgrade("Raise it where it is declared.", "")
    language, command = _COMMANDS[kind]
    text = command.format(name=package.name, version=version, bare=version.removeprefix("v"))
    return Upgrade(_WHERE[kind], fenced(text, language))


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
    return Upgrade(f"In the Gradle build file{then}:", fenced("\n".join(constraint), "kotlin"))
