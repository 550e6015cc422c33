"""A GitHub workflow's jobs and steps, and what the jobs need the workflow's token for."""

import re
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.fixes.configuration.action_permissions import (
    Permissions,
    merged,
    needs_of,
    needs_of_commands,
    needs_of_script,
    pushes,
)
from secdaemon.pipeline.fixes.configuration.yaml_document import Document, Node, read_yaml, scalars
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place

SCRIPT_ACTION = "actions/github-script"
CHECKOUT = "actions/checkout"

_TOKEN = re.compile(r"\$\{\{[^{}]*\b(?:secrets\.GITHUB_TOKEN|github\.token)\b", re.IGNORECASE)
_SECRET = re.compile(r"\$\{\{[^{}]*\bsecrets\.(?!GITHUB_TOKEN\b)\w", re.IGNORECASE)
_TOKEN_INPUTS = ("token", "github-token", "github_token", "repo-token", "repo_token", "ssh-key")
_OWN = frozenset(("id-token", "attestations"))
"""Scopes that no other token can stand in for."""


class Step(msgspec.Struct, frozen=True):
    """A step and its place in the text."""

    node: Node
    place: Place

    @property
    def where(self) -> str:
        """The place as it is named in a weakness."""
        return ".".join(self.place[1:])

    @property
    def run(self) -> Node | None:
        """The script of a `run` step."""
        return _scalar(self.node.get("run"))

    @property
    def uses(self) -> Node | None:
        """The action that it uses, with its version."""
        return _scalar(self.node.get("uses"))

    @property
    def action(self) -> str:
        """The action without its version, in lower case; "" for none."""
        return self.uses.value.partition("@")[0].strip().lower() if self.uses else ""

    @property
    def inputs(self) -> dict[str, str]:
        """The values of `with`, keys in lower case."""
        given = self.node.get("with")
        pairs = given.pairs if given is not None else ()
        return {key.value.lower(): value.value for key, value in pairs if value.kind == "scalar"}


class Job(msgspec.Struct, frozen=True):
    """A job and its steps."""

    name: str
    node: Node
    steps: tuple[Step, ...]

    @property
    def place(self) -> Place:
        """Its place in the text."""
        return ("0", "jobs", self.name)


class Workflow(msgspec.Struct, frozen=True):
    """A workflow, or a composite action as one job without a name."""

    document: Document
    root: Node
    jobs: tuple[Job, ...]
    is_action: bool


class Need(msgspec.Struct, frozen=True):
    """What a job needs the token for."""

    permissions: Permissions
    guessed: tuple[str, ...] = ()
    """Actions that are not known, and are given no token by the workflow itself."""


def read_workflow(text: str) -> Workflow | None:
    """Return the workflow, None where the text is none."""
    document = read_yaml(text)
    if document is None or len(document.roots) != 1:
        return None
    root = document.roots[0]
    runs = root.get("runs")
    if runs is not None and root.get("runs", "using") is not None:
        steps = tuple(_steps(runs, ("0", "runs", "steps")))
        return Workflow(document, root, (Job("", runs, steps),), True)
    jobs = root.get("jobs")
    if root.entry("on") is None or jobs is None:
        return None
    found = tuple(
        Job(key.value, node, tuple(_steps(node, ("0", "jobs", key.value, "steps"))))
        for key, node in jobs.pairs
        if node.entry("runs-on") or node.entry("uses")
    )
    return Workflow(document, root, found, False) if found else None


def need_of(workflow: Workflow, job: Job) -> Need | None:
    """Return what a job needs; None where it cannot be told.

    That is where another workflow or an action of the repository itself has the token, or one that
    is not known is given it.
    """
    if job.node.entry("uses"):
        return None
    outer = any(_names_token(node.get("env")) for node in (workflow.root, job.node))
    parts: list[Permissions] = []
    guessed: list[str] = []
    used = False
    for step in job.steps:
        need = _step_need(job, step, outer)
        if need is None:
            return None
        used = used or (step.run is not None and bool(need.permissions))
        parts.append(need.permissions)
        guessed += need.guessed
    if outer and not used:
        return None
    if any(_names_token(job.node.get(key)) for key in ("container", "services")):
        parts.append({"packages": "read"})
    return Need(merged(*parts), tuple(dict.fromkeys(guessed)))


def _step_need(job: Job, step: Step, outer: bool) -> Need | None:
    named = _names_token(step.node)
    if step.run is not None:
        return _run_need(job, step.run.value, named=named, outer=outer)
    if step.action.startswith("."):
        return None
    need = _action_need(job, step.action, step.inputs)
    return None if named and (need is None or need.guessed) else need


def _run_need(job: Job, script: str, *, named: bool, outer: bool) -> Need | None:
    need = needs_of_commands(script)
    if named and need is None:
        return None
    if need and "packages" in need and _pushes_images(job):
        # With the login that this step leaves to the others.
        need = merged(need, {"packages": "write"})
    if pushes(script) and not (named or outer):
        # With what actions/checkout left behind.
        return Need({} if _pushes_with_own(job) else {"contents": "write"})
    return Need((need or {}) if named or outer else {})


def _action_need(job: Job, action: str, inputs: dict[str, str]) -> Need | None:
    if action == SCRIPT_ACTION:
        script = {} if _is_own(inputs) else needs_of_script(inputs.get("script", ""))
        return None if script is None else Need(script)
    if action == "docker/login-action":
        return Need(_registry(job, inputs))
    found = needs_of(action, inputs)
    if found is None:
        return Need({}, (action,) if action else ())
    if _is_own(inputs) and action != CHECKOUT:
        found = {scope: found[scope] for scope in found if scope in _OWN}
    return Need(found)


def _registry(job: Job, inputs: dict[str, str]) -> Permissions:
    if "ghcr.io" not in inputs.get("registry", "") or not _TOKEN.search(inputs.get("password", "")):
        return {}
    return {"packages": "write" if _pushes_images(job) else "read"}


def _pushes_images(job: Job) -> bool:
    scripts = [step.run.value for step in job.steps if step.run is not None]
    return any("push" in script for script in scripts) or any(map(_pushes_image, job.steps))


def _pushes_image(step: Step) -> bool:
    inputs = step.inputs
    asked = inputs.get("push", "false") != "false" or "push" in inputs.get("outputs", "")
    return step.action == "docker/bake-action" or (step.action.startswith("docker/") and asked)


def _pushes_with_own(job: Job) -> bool:
    return any(step.action == CHECKOUT and _is_own(step.inputs) for step in job.steps)


def _is_own(inputs: dict[str, str]) -> bool:
    """Whether a step is given another token than the workflow's."""
    return any(
        _SECRET.search(inputs.get(name, "")) and not _TOKEN.search(inputs.get(name, ""))
        for name in _TOKEN_INPUTS
    )


def _names_token(node: Node | None) -> bool:
    return node is not None and any(_TOKEN.search(found.value) for _, found in scalars(node))


def _steps(node: Node, place: Place) -> Iterator[Step]:
    steps = node.get("steps")
    for at, step in enumerate(steps.items if steps is not None else ()):
        if step.kind == "mapping":
            yield Step(step, (*place, str(at)))


def _scalar(node: Node | None) -> Node | None:
    return node if node is not None and node.kind == "scalar" else None
