"""GitHub workflows and composite actions: the token, scripts, actions and checked-out credentials.

What is reported here and not mended cannot be without asking somebody: which commit a version of
an action is, what a called workflow does with the secrets that it inherits, whether code of a fork
has to run in a workflow that has them.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.workflow import (
    CHECKOUT,
    Job,
    Step,
    Workflow,
    read_workflow,
)
from secdaemon.pipeline.fixes.configuration.workflow_permissions import (
    PERMISSIONS,
    find_permissions,
    mend_permissions,
)
from secdaemon.pipeline.fixes.configuration.workflow_scripts import (
    INJECTION,
    find_injections,
    mend_injection,
)
from secdaemon.pipeline.fixes.configuration.yaml_edit import put, replace
from secdaemon.pipeline.fixes.quote import inline

CREDENTIALS = "checkout-credentials"
UNPINNED = "unpinned-action"
SECRETS = "inherited-secrets"
FOREIGN = "foreign-checkout"

_YAML = re.compile(r".*\.ya?ml", re.IGNORECASE)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PINNED = re.compile(
    r"(?<![\w./-])([\w.-]+/[\w./-]+)@([0-9a-f]{40})[ \t]+#[ \t]*(v?\d[\w.+-]*)[ \t]*$", re.MULTILINE
)
_PRIVILEGED = ("pull_request_target", "workflow_run")
_FOREIGN = re.compile(r"github\.event\.(?:pull_request|workflow_run)\.head|github\.head_ref")
_REMOTE = re.compile(
    r"(?<![\w-])git\s+(?:-\S+\s+){0,4}(?:push|pull|fetch|clone|submodule|lfs|ls-remote|remote)\b"
    r"|(?<![\w-])(?:hub|lerna|changeset|semantic-release|release-it|gh-deploy|gh-pages|mike)\b"
    r"|(?:npm|yarn|poetry|cargo)\s+version|bump|release|publish|deploy|\btag\b",
    re.IGNORECASE,
)
_REMOTE_ACTION = re.compile(
    r"^\.|auto-commit|add-and-commit|pages|release|changeset|push|commit|bump|version|deploy|\btag\b"
    r"|pull-request|merge|sync|publish"
)


def recognises(path: str, text: str) -> bool:
    """Whether a YAML file has what a workflow or a composite action has to have."""
    return _YAML.fullmatch(path) is not None and read_workflow(text) is not None


@lru_cache(maxsize=8)
def weaknesses(text: str) -> tuple[Weakness, ...]:
    """Return what is insecure in a workflow, in the order of the checks."""
    workflow = read_workflow(text)
    if workflow is None:
        return ()
    return (
        *find_permissions(workflow),
        *find_injections(workflow),
        *_credentials(workflow),
        *_unpinned(workflow),
        *_secrets(workflow),
        *_foreign(workflow),
    )


def _steps(workflow: Workflow) -> Iterator[tuple[Job, Step]]:
    return ((job, step) for job in workflow.jobs for step in job.steps)


def _at(check: str, step: Step, weight: float) -> Weakness:
    node = step.node
    return Weakness(
        check=check, where=step.where, line=node.line, end_line=node.end_line, weight=weight
    )


def _credentials(workflow: Workflow) -> Iterator[Weakness]:
    for _, step in _steps(workflow):
        kept = step.inputs.get("persist-credentials", "").lower() != "false"
        if step.action == CHECKOUT and kept:
            yield _at(CREDENTIALS, step, 0.2)


def _unpinned(workflow: Workflow) -> Iterator[Weakness]:
    for _, step in _steps(workflow):
        if step.uses is not None and _is_mutable(step.uses.value):
            is_first_party = step.action.startswith(("actions/", "github/"))
            yield _at(UNPINNED, step, 0.1 if is_first_party else 0.3)


def _is_mutable(uses: str) -> bool:
    if uses.startswith((".", "docker://")):
        return False
    _, _, version = uses.partition("@")
    return bool(version) and not _COMMIT.fullmatch(version.strip())


def _secrets(workflow: Workflow) -> Iterator[Weakness]:
    for job in workflow.jobs:
        given = job.node.get("secrets")
        if given is not None and given.value == "inherit":
            yield Weakness(
                check=SECRETS,
                where=f"jobs.{job.name}.secrets",
                line=given.line,
                end_line=given.end_line,
                weight=0.3,
            )


def _foreign(workflow: Workflow) -> Iterator[Weakness]:
    on = workflow.root.get("on")
    names = () if on is None else (on, *on.items, *(key for key, _ in on.pairs))
    if not any(name.value in _PRIVILEGED for name in names):
        return
    for _, step in _steps(workflow):
        if step.action == CHECKOUT and _FOREIGN.search(step.inputs.get("ref", "")):
            yield _at(FOREIGN, step, 0.9)


def _step_at(text: str, where: str) -> tuple[Job, Step] | None:
    workflow = read_workflow(text)
    steps = _steps(workflow) if workflow is not None else iter(())
    return next((at for at in steps if at[1].where == where), None)


def _mend_credentials(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Tell checkout not to leave the token behind, where no step of the job asks the remote."""
    at = _step_at(text, weakness.where)
    # A composite action leaves it to the steps of whoever uses the action.
    if at is None or not at[0].name or any(_uses_remote(step) for step in at[0].steps):
        return ()
    after = put(text, (*at[1].place, "with", "persist-credentials"), value=False)
    if after is None:
        return ()
    reason = (
        "`actions/checkout` leaves the token in `.git/config`, where later steps and uploaded"
        " artifacts can read it; no step of this job speaks to the remote, so it need not stay."
    )
    return (Repair(after=after, reason=reason),)


def _uses_remote(step: Step) -> bool:
    if step.run is not None:
        return _REMOTE.search(step.run.value) is not None
    if step.action == CHECKOUT:
        return step.inputs.get("submodules", "false") != "false" and "ssh-key" in step.inputs
    return _REMOTE_ACTION.search(step.action) is not None


def _mend_unpinned(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Pin to the commit that the same file names for the same action at the same version.

    No other source is asked: which commit a tag stands for is only known to the one who has it.
    """
    at = _step_at(text, weakness.where)
    step = at[1] if at is not None else None
    if step is None or step.uses is None or step.uses.style:
        return ()
    action, _, version = step.uses.value.partition("@")
    commits = {
        match[2]
        for match in _PINNED.finditer(text)
        if match[1].lower() == action.lower() and match[3] == version
    }
    line_end = text.find("\n", step.uses.end)
    behind = text[step.uses.end : len(text) if line_end < 0 else line_end]
    if len(commits) != 1 or behind.strip():
        return ()
    commit = commits.pop()
    after = replace(text, (*step.place, "uses"), f"{action}@{commit} # {version}")
    if after is None:
        return ()
    reason = (
        f"{inline(f'{action}@{version}')} is a tag that its owner can move; the commit is the one"
        " that this workflow names for the same version already."
    )
    return (Repair(after=after, reason=reason),)


KIND = Kind(
    name="GitHub workflow",
    language="yaml",
    recognises=recognises,
    weaknesses=weaknesses,
    rules={
        r"CKV_GHA_2\b|(?:shell|script|template|code|command)-injection": INJECTION,
        r"Run Block Injection|Script Block Injection": INJECTION,
        r"CKV2_GHA_1\b|excessive-permissions|workflow-permissions": PERMISSIONS,
        r"top-level permissions|TokenPermissions|Token-Permissions|write-all": PERMISSIONS,
        r"artipacked|persist-credentials": CREDENTIALS,
        r"unpinned-(?:uses|tag|action)|not-pinned|mutable-action|Unpinned Actions": UNPINNED,
        r"PinnedDependencies|Pinned-Dependencies": UNPINNED,
        r"secrets-inherit": SECRETS,
        r"(?:target|run)-code-checkout|untrusted-checkout|dangerous-triggers": FOREIGN,
    },
    mends=guarded(
        weaknesses,
        {
            CREDENTIALS: _mend_credentials,
            INJECTION: mend_injection,
            PERMISSIONS: mend_permissions,
            UNPINNED: _mend_unpinned,
        },
    ),
    of_document=frozenset((PERMISSIONS,)),
)
