"""What a step of a GitHub workflow does with the workflow's token, by the action that it uses.

From the actions' own documentation. A job with `permissions` has no others than those named, so
what an action merely reads is named too.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

Permissions = Mapping[str, str]
"""Scope -> read or write."""

_READ, _WRITE = "read", "write"
_CONTENTS: Permissions = {"contents": _READ}
_PUSH: Permissions = {"contents": _WRITE}
_PULL: Permissions = {"contents": _WRITE, "pull-requests": _WRITE}
_TALK: Permissions = {"issues": _WRITE, "pull-requests": _WRITE}
_PR_COMMENT: Permissions = {"contents": _READ, "pull-requests": _WRITE}
_PR_READ: Permissions = {"contents": _READ, "pull-requests": _READ}
_CODEQL: Permissions = {"actions": _READ, "contents": _READ, "security-events": _WRITE}
_CHECKS: Permissions = {"actions": _READ, "checks": _WRITE, "contents": _READ}
_OIDC: Permissions = {"id-token": _WRITE}

_TABLE: Mapping[str, Permissions] = {
    "actions/attest-build-provenance": {
        "attestations": _WRITE,
        "contents": _READ,
        "id-token": _WRITE,
    },
    "actions/cache": {},
    "actions/checkout": _CONTENTS,
    "actions/configure-pages": {"pages": _READ},
    "actions/create-github-app-token": {},
    "actions/create-release": _PUSH,
    "actions/delete-package-versions": {"packages": _WRITE},
    "actions/dependency-review-action": _CONTENTS,
    "actions/deploy-pages": {"id-token": _WRITE, "pages": _WRITE},
    "actions/download-artifact": {},
    "actions/first-interaction": _TALK,
    "actions/labeler": _PR_COMMENT,
    "actions/stale": _TALK,
    "actions/upload-artifact": {},
    "actions/upload-pages-artifact": {},
    "actions/upload-release-asset": _PUSH,
    "amannn/action-semantic-pull-request": _PR_READ,
    "aquasecurity/trivy-action": {},
    "bridgecrewio/checkov-action": {},
    "changesets/action": _PULL,
    "codecov/codecov-action": {},
    "cycjimmy/semantic-release-action": {**_PULL, "issues": _WRITE},
    "dependabot/fetch-metadata": {"pull-requests": _READ},
    "docker/build-push-action": {},
    "docker/metadata-action": {},
    "docker/setup-buildx-action": {},
    "docker/setup-qemu-action": {},
    "dorny/paths-filter": _PR_READ,
    "dorny/test-reporter": _CHECKS,
    "endbug/add-and-commit": _PUSH,
    "enricomi/publish-unit-test-result-action": {**_CHECKS, "pull-requests": _WRITE},
    "github/codeql-action/analyze": _CODEQL,
    "github/codeql-action/autobuild": {},
    "github/codeql-action/init": _CODEQL,
    "github/codeql-action/upload-sarif": _CODEQL,
    "gitleaks/gitleaks-action": _PR_COMMENT,
    "golangci/golangci-lint-action": _PR_READ,
    "goreleaser/goreleaser-action": _PUSH,
    "gradle/actions/setup-gradle": {},
    "gradle/actions/wrapper-validation": {},
    "gradle/gradle-build-action": {},
    "gradle/wrapper-validation-action": {},
    "hadolint/hadolint-action": {},
    "jamesives/github-pages-deploy-action": _PUSH,
    "marocchino/sticky-pull-request-comment": {"pull-requests": _WRITE},
    "mikepenz/action-junit-report": _CHECKS,
    "ncipollo/release-action": _PUSH,
    "ossf/scorecard-action": {"actions": _READ, "contents": _READ},
    "peaceiris/actions-gh-pages": _PUSH,
    "peter-evans/create-issue-from-file": {"contents": _READ, "issues": _WRITE},
    "peter-evans/create-or-update-comment": _TALK,
    "peter-evans/create-pull-request": _PULL,
    "peter-evans/find-comment": {"issues": _READ, "pull-requests": _READ},
    "reactivecircus/android-emulator-runner": {},
    "softprops/action-gh-release": _PUSH,
    "sonarsource/sonarcloud-github-action": _PR_READ,
    "sonarsource/sonarqube-scan-action": _PR_READ,
    "stefanzweifel/git-auto-commit-action": _PUSH,
    "svenstaro/upload-release-action": _PUSH,
    "tj-actions/changed-files": _PR_READ,
    "zaproxy/action-api-scan": {"contents": _READ, "issues": _WRITE},
    "zaproxy/action-baseline": {"contents": _READ, "issues": _WRITE},
    "zaproxy/action-full-scan": {"contents": _READ, "issues": _WRITE},
}
_SETUP = re.compile(r"(?:[\w.-]+/)?(?:setup|install)-[\w.-]+(?:/.*)?|android-actions/setup-android")
"""Actions that install a tool: a token given to them reads releases of public projects."""

Inputs = Mapping[str, str]
"""Of a step's `with`, keys in lower case."""


class Conditional(msgspec.Struct, frozen=True):
    """What an action needs beyond its row of the table, where its inputs say so."""

    action: str
    applies: Callable[[Inputs], bool]
    needs: Permissions


def _has(inputs: Inputs, name: str, *values: str) -> bool:
    given = inputs.get(name, "").lower()
    return given in values if values else bool(given)


_CONDITIONAL = (
    Conditional("actions/download-artifact", lambda g: _has(g, "run-id"), {"actions": _READ}),
    Conditional(
        "actions/configure-pages", lambda g: _has(g, "enablement", "true"), {"pages": _WRITE}
    ),
    Conditional(
        "actions/dependency-review-action",
        lambda g: _has(g, "comment-summary-in-pr", "true", "always", "on-failure"),
        {"pull-requests": _WRITE},
    ),
    Conditional("actions/stale", lambda g: _has(g, "delete-branch", "true"), _PUSH),
    Conditional(
        "aws-actions/configure-aws-credentials", lambda g: "aws-access-key-id" not in g, _OIDC
    ),
    Conditional("azure/login", lambda g: "creds" not in g, _OIDC),
    Conditional("codecov/codecov-action", lambda g: _has(g, "use_oidc", "true"), _OIDC),
    Conditional(
        "google-github-actions/auth", lambda g: _has(g, "workload_identity_provider"), _OIDC
    ),
    Conditional("hashicorp/vault-action", lambda g: _has(g, "method", "jwt"), _OIDC),
    Conditional(
        "gradle/actions/setup-gradle",
        lambda g: g.get("dependency-graph", "").startswith("generate-and-submit"),
        _PUSH,
    ),
    Conditional(
        "gradle/actions/setup-gradle",
        lambda g: _has(g, "add-job-summary-as-pr-comment", "always", "on-failure"),
        {"pull-requests": _WRITE},
    ),
    Conditional(
        "mikepenz/action-junit-report",
        lambda g: _has(g, "comment", "true"),
        {"pull-requests": _WRITE},
    ),
    Conditional("ossf/scorecard-action", lambda g: _has(g, "publish_results", "true"), _OIDC),
    Conditional("pypa/gh-action-pypi-publish", lambda g: "password" not in g, _OIDC),
)
_BY_INPUTS = frozenset(rule.action for rule in _CONDITIONAL)


def needs_of(action: str, inputs: Inputs) -> Permissions | None:
    """Return what an action (`owner/name`, without its version) needs; None if it is not known."""
    action = action.lower()
    if action not in _TABLE and action not in _BY_INPUTS:
        return {} if _SETUP.fullmatch(action) else None
    more = [rule.needs for rule in _CONDITIONAL if rule.action == action and rule.applies(inputs)]
    return merged(_TABLE.get(action, {}), *more)


def merged(*parts: Permissions) -> Permissions:
    """Return all scopes, each with the most that a part gives it, in the order of their names."""
    scopes = sorted({scope for part in parts for scope in part})
    return {
        scope: _WRITE if any(part.get(scope) == _WRITE for part in parts) else _READ
        for scope in scopes
    }


_GH: tuple[tuple[str, Permissions], ...] = (
    (r"pr (?:merge|update-branch)", _PULL),
    (r"pr (?:comment|create|edit|close|reopen|review|ready|lock|unlock)", _PR_COMMENT),
    (r"pr checks", {"checks": _READ, **_PR_READ, "statuses": _READ}),
    (r"pr (?:checkout|view|diff|list|status)", _PR_READ),
    (r"release (?:create|upload|edit|delete|delete-asset)", _PUSH),
    (r"release (?:view|list|download)", _CONTENTS),
    (r"issue (?:create|comment|edit|close|reopen|lock|unlock|pin|unpin)", {"issues": _WRITE}),
    (r"issue (?:view|list|status)", {"issues": _READ}),
    (r"label (?:create|edit|delete|clone)", {"issues": _WRITE}),
    (r"label list", {"issues": _READ}),
    (r"run (?:view|list|download|watch)", {"actions": _READ}),
    (r"run (?:cancel|rerun|delete)", {"actions": _WRITE}),
    (r"workflow (?:run|enable|disable)", {"actions": _WRITE}),
    (r"workflow (?:view|list)", {"actions": _READ}),
    (r"cache delete", {"actions": _WRITE}),
    (r"cache list", {"actions": _READ}),
    (r"repo (?:view|clone)", _CONTENTS),
    (r"attestation verify", {"attestations": _READ}),
    (r"(?:auth|extension|config|version|alias|help)\b.*", {}),
)
_GH_CALL = re.compile(r"(?<![\w./-])gh\s+([a-z][a-z-]*(?:\s+[a-z][a-z-]*)?)")
_PUSHES = re.compile(r"(?<![\w./-])git\s+(?:-\S+\s+(?:[^\s-]\S*\s+)?){0,4}push\b")
_PACKAGES = re.compile(
    r"(?<![\w-])(?:npm|pnpm|yarn)\s+publish|(?<![\w-])mvnw?\b.{0,200}\sdeploy\b|gradlew?\b.{0,200}publish"
    r"|docker\s+(?:image\s+)?push|docker\s+buildx\s+build\b.{0,400}--push|(?:helm|oras|podman)\s+push"
)
_REGISTRY = re.compile(
    r"(?:docker|podman|helm registry|oras|crane)\s+(?:auth\s+)?login\b.{0,200}ghcr\.io"
)


def needs_of_commands(script: str) -> Permissions | None:
    """Return what a script with the token in its environment needs of it; None where unclear."""
    lines = re.sub(r"\\\n\s*", " ", script)
    parts: list[Permissions] = []
    for call in _GH_CALL.findall(lines):
        words = " ".join(call.split())
        need = next((need for form, need in _GH if re.match(rf"{form}(?:\s|$)", words)), None)
        if need is None:
            return None
        parts.append(need)
    if _PUSHES.search(lines):
        parts.append(_PUSH)
    if _PACKAGES.search(lines):
        parts.append({"packages": _WRITE})
    elif _REGISTRY.search(lines):
        parts.append({"packages": _READ})
    return merged(*parts) if parts else None


def pushes(script: str) -> bool:
    """Whether a script runs `git push`."""
    return _PUSHES.search(re.sub(r"\\\n\s*", " ", script)) is not None


_REST: tuple[tuple[str, Permissions], ...] = (
    (r"issues\.(?:create|update|add|remove|set|lock|unlock|delete)\w*", _TALK),
    (r"issues\.(?:get|list)\w*", {"issues": _READ, "pull-requests": _READ}),
    (r"pulls\.(?:merge|updateBranch)\w*", _PULL),
    (r"pulls\.(?:create|update|request|remove|submit|dismiss|delete)\w*", _PR_COMMENT),
    (r"pulls\.(?:get|list|check)\w*", {"pull-requests": _READ}),
    (r"repos\.createCommitStatus", {"statuses": _WRITE}),
    (r"repos\.createDeployment\w*", {"deployments": _WRITE}),
    (r"repos\.createDispatchEvent", _PUSH),
    (r"repos\.(?:create|update|delete|upload)\w*(?:Release|File)\w*", _PUSH),
    (r"repos\.(?:get|list|compare)\w*", _CONTENTS),
    (r"git\.(?:create|update|delete)\w*", _PUSH),
    (r"git\.(?:get|list)\w*", _CONTENTS),
    (r"checks\.(?:create|update)\w*", {"checks": _WRITE}),
    (r"checks\.(?:get|list)\w*", {"checks": _READ}),
    (r"reactions\.create\w*", _TALK),
    (r"actions\.(?:get|list|download)\w*", {"actions": _READ}),
    (r"actions\.(?:cancel|reRun|create|delete|enable|disable)\w*", {"actions": _WRITE}),
    (r"codeScanning\.upload\w*", {"security-events": _WRITE}),
    (r"codeScanning\.(?:get|list)\w*", {"security-events": _READ}),
    (r"search\.\w+|rateLimit\.\w+|users\.\w+", {}),
)
_REST_CALL = re.compile(r"\bgithub\.(?:rest\.)?([a-z]\w+\.\w+)")
_REST_OTHER = re.compile(
    r"\bgithub\.(?:graphql|request|paginate\.iterator)\b|\brequire\(|\bimport\("
)
_PAGINATE = re.compile(r"\bgithub\.paginate\(\s*github\.")


def needs_of_script(script: str) -> Permissions | None:
    """Return what an `actions/github-script` needs, by the calls in it; None where unclear."""
    script = re.sub(r"\$\{\{[^{}]*\}\}", "", script)
    if _REST_OTHER.search(script):
        return None
    parts: list[Permissions] = []
    for call in _REST_CALL.findall(script):
        need = next((need for form, need in _REST if re.fullmatch(form, call)), None)
        if need is None:
            return None
        parts.append(need)
    uses = len(re.findall(r"\bgithub\b(?!\.com)", script))
    if uses > len(parts) + len(_PAGINATE.findall(script)):
        # Handed on as a value, or called in a way that is not seen here.
        return None
    return merged(*parts)
