"""A small checkout of our own for an artifact's findings: our code, at the places that it names.

The files are made when the benchmark runs, from the paths and lines in the findings and from the
texts below; nothing of the scanned project is in them. Each flagged line holds a statement of ours
that has the weakness which the rule is about.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from secdaemon.pipeline.findings.model import Finding

_STATEMENTS = {
    "gcm-detection": 'val cipher = Cipher.getInstance("AES/GCM/NoPadding", provider{n})',
    "webauthn-challenge-storage-without-expiry": "jedis.set(challengeKey{n}, challenge.base64Url)",
    "webauthn-credential-validation-bypass": "relyingParty.finishAssertion(options{n})",
    "detect-child-process": "execSync(`git show ${{reference{n}}}`);",
    "unsafe-formatstring": "console.log(`report ${{name{n}}}:`, reason);",
    "missing-integrity": '<script src="https://cdn.example.org/library{n}.js"></script>',
}
_PLAIN = "step{n}()"

_WORKFLOW = """name: {name}
on:
  push:
    branches: [main]
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-java@v4
        with:
          distribution: temurin
          java-version: "21"
      # the wrapper is part of the repository
      - run: ./gradlew build
"""
_RELEASE = """  release:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: gh release create "v$GITHUB_RUN_NUMBER" build/libs/*.jar
        env:
          GH_TOKEN: ${{ github.token }}
"""
_MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android">
    <application android:label="Sample">
{before}        <activity
            android:name=".SettingsActivity"
            android:exported="true" />
    </application>
</manifest>
"""
_BUILD = """plugins {{
    kotlin("jvm") version "2.0.21"
}}

dependencies {{
{lines}
}}
"""
_ROUTES = """package sample

fun Application.sample() {
    install(CORS) {
        anyHost()
        allowCredentials = true
    }
    routing {
        get("/") {
            call.respondText("ready")
        }
    }
}
"""


def lay_out(folder: Path, findings: Iterable[Finding]) -> str:
    """Commit a tree that has the findings' places, and return the commit."""
    by_path: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.path and finding.target is None:
            by_path[finding.path].append(finding)
    texts = {path: _text(path, found) for path, found in by_path.items()}
    for path, found in by_path.items():
        if path.endswith("gradle.lockfile"):
            texts |= _gradle(path, found)
    texts["sample/src/main/kotlin/Routes.kt"] = _ROUTES
    for path, text in sorted(texts.items()):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    git = ("git", "-C", str(folder), "-c", "user.name=B", "-c", "user.email=b@example.org")
    for command in (("init", "-q"), ("add", "-Af", "."), ("commit", "-qm", "tree")):
        subprocess.run([*git, *command], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _text(path: str, found: list[Finding]) -> str:
    name = path.rpartition("/")[2]
    if "/workflows/" in path:
        release = _RELEASE if "publish" in name else ""
        text = _WORKFLOW.format(name=name.partition(".")[0]) + release
        last = max(finding.end_line or finding.line or 1 for finding in found)
        return text + "# kept for later\n" * max(0, last - text.count("\n"))
    if name == "AndroidManifest.xml":
        first = min(finding.line or 4 for finding in found)
        return _MANIFEST.format(before="        <!-- sample -->\n" * max(0, first - 4))
    opening, closing = _frame(name)
    return _lines(found, opening, closing)


def _frame(name: str) -> tuple[str, str]:
    if name.endswith((".kt", ".java")):
        return "class Sample {", "}"
    if name.endswith(".html"):
        return "<html><body>", "</body></html>"
    return "", ""


def _lines(found: list[Finding], opening: str, closing: str) -> str:
    """Return a file whose flagged lines hold statements, each group of them in a function."""
    last = max((finding.end_line or finding.line or 1) for finding in found)
    rows = [""] * (last + 3)
    function = {"class Sample {": ("    fun part{n}() {{", "    }}")}.get(opening)
    if opening.startswith("<"):
        function = ("", "")
    begin, end = function or ("function part{n}() {{", "}}")
    for finding in sorted(found, key=lambda each: each.line or 0):
        first, stop = finding.line or 1, finding.end_line or finding.line or 1
        rule = finding.rule.rpartition(".")[2]
        for line in range(first, stop + 1):
            wanted = _STATEMENTS.get(rule, _PLAIN) if line == first else _PLAIN
            if not rows[line - 1] or line == first:
                rows[line - 1] = f"        {wanted.format(n=line)}"
    taken = [at for at, row in enumerate(rows) if row]
    for at in taken:
        if at and not rows[at - 1]:
            rows[at - 1] = begin.format(n=at)
        if not rows[at + 1]:
            rows[at + 1] = end.format()
    rows[0] = rows[0] or opening
    rows[-1] = closing
    return "\n".join(rows) + "\n"


def _gradle(path: str, found: list[Finding]) -> dict[str, str]:
    """Return a lock file and the build file beside it, which declares every second package."""
    packages = sorted(
        {(p.name, p.version) for f in found if (p := f.package) and p.version and ":" in p.name}
    )
    lock = "".join(f"{name}:{version}=runtimeClasspath\n" for name, version in packages)
    declared = [f'    implementation("{name}:{version}")' for name, version in packages[::2]]
    build = path.replace("gradle.lockfile", "build.gradle.kts")
    return {path: lock + "empty=\n", build: _BUILD.format(lines="\n".join(declared))}
