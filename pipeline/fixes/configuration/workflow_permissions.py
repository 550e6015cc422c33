"""What the token of a GitHub workflow may do: by default too much, and what its jobs need instead.

GitHub knows two places for `permissions`: the workflow and a job (whose block replaces the other
one whole). There is none for a step; what limits a step is a job of its own. So there are two ways
to say it: the common part for the workflow and more for the jobs that need it, or nothing for the
workflow and each job its own.
"""

from collections.abc import Mapping

import msgspec

from secdaemon.pipeline.fixes.configuration.action_permissions import Permissions, merged
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.workflow import Job, Workflow, need_of, read_workflow
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import put
from secdaemon.pipeline.fixes.quote import inline

PERMISSIONS = "workflow-permissions"

_ALL = "write-all"
_WHERE = "permissions"
_ABOVE_JOBS = ("env", "defaults", "concurrency", "jobs")
_APART = "a compromised action in one job cannot use another's"
_MAX_NAMED = 3
_MAX_JOBS = 24
"""That get a block of their own; more is no change that anybody reads."""
_Needs = dict[str, Permissions]


def find_permissions(workflow: Workflow) -> tuple[Weakness, ...]:
    """Return where the token may do everything, or more than reading for every job."""
    if workflow.is_action:
        return ()
    found = []
    top = workflow.root.get("permissions")
    if top is None:
        is_bare = any(job.node.get("permissions") is None for job in workflow.jobs)
        root = workflow.root
        found.append(_weakness(_WHERE, root.line, root.end_line, 1.0 if is_bare else 0.2))
    elif top.value == _ALL:
        found.append(_weakness(_WHERE, top.line, top.end_line, 1.0))
    elif _writes(_granted(top)) and _bare(workflow):
        entry = workflow.root.entry("permissions")
        assert entry is not None
        found.append(_weakness(_WHERE, entry[0].line, top.end_line, 0.4))
    for job in workflow.jobs:
        own = job.node.get("permissions")
        if own is not None and own.value == _ALL:
            found.append(_weakness(f"jobs.{job.name}.permissions", own.line, own.end_line, 0.8))
    return tuple(found)


def mend_permissions(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the workflow with what its jobs need; () where that cannot be told of one of them."""
    workflow = read_workflow(text)
    if workflow is None or len(_bare(workflow)) > _MAX_JOBS:
        return ()
    if weakness.where != _WHERE:
        return _mend_job(text, workflow, weakness)
    top = workflow.root.get("permissions")
    granted = _granted(top) if top is not None and top.kind == "mapping" else None
    if granted and len(_bare(workflow)) == 1:
        return _moved(text, _bare(workflow)[0], granted)
    needs: _Needs = {}
    guessed: list[str] = []
    for job in _bare(workflow):
        need = need_of(workflow, job)
        if need is None:
            return ()
        needs[job.name] = _within(need.permissions, granted)
        guessed += need.guessed
    note = _note(tuple(dict.fromkeys(guessed)))
    why = _why(top, needs)
    whole, each = _for_workflow(text, needs, why, note), _for_each_job(text, needs, note)
    if whole is not None and each is not None and whole.after == each.after:
        # Where only what writes needs anything, the two are one.
        return (msgspec.structs.replace(each, choice=""),)
    return tuple(repair for repair in (whole, each) if repair is not None)


def _mend_job(text: str, workflow: Workflow, weakness: Weakness) -> tuple[Repair, ...]:
    job = next((j for j in workflow.jobs if f"jobs.{j.name}.permissions" == weakness.where), None)
    need = need_of(workflow, job) if job is not None else None
    if job is None or need is None:
        return ()
    after = put(text, (*job.place, "permissions"), need.permissions)
    if after is None:
        return ()
    reason = (
        f"The job {inline(job.name)} gets what its steps need, {_said(need.permissions)}, in place"
        f" of write access to everything.{_note(need.guessed)}"
    )
    return (Repair(after=after, reason=reason),)


def _moved(text: str, job: Job, granted: Permissions) -> tuple[Repair, ...]:
    """The only job without a block of its own takes the workflow's over."""
    kept = {scope: "read" for scope in granted if scope == "contents"}
    after = put(text, ("0", "permissions"), kept)
    after = after and _put_job(after, job.name, granted)
    if after is None:
        return ()
    reason = (
        f"The write access moves from the workflow to the job {inline(job.name)}, the one that uses"
        " it; a job that is added later starts without it."
    )
    return (Repair(after=after, reason=reason),)


def _why(top: Node | None, needs: _Needs) -> str:
    if not needs:
        return "Each job says what it needs; one that is added later starts with nothing. The token"
    if top is None:
        return (
            "Without a limit the token of every job may do what the repository's settings allow, up"
            " to writing everything. It"
        )
    if top.kind == "scalar":
        return "With `write-all` any job's token may change everything in the repository. It"
    return "Every job had the write access that some of them need. The token"


def _for_workflow(text: str, needs: _Needs, why: str, note: str) -> Repair | None:
    """The common part at the top, and a block for each job that writes."""
    writers = {name: need for name, need in needs.items() if _writes(need)}
    if writers and len(writers) == len(needs):
        return None
    common = merged(*(need for name, need in needs.items() if name not in writers))
    after = _with_top(text, common)
    for name, need in writers.items():
        after = after and _put_job(after, name, need)
    if after is None:
        return None
    more = f"; {_jobs(writers)}" if writers else ""
    reason = f"{why} now gets {_said(common)}{more}.{note}"
    return Repair(after=after, reason=reason, choice="permissions for the workflow")


def _for_each_job(text: str, needs: _Needs, note: str) -> Repair | None:
    """Nothing at the top, and a block for each job that needs something."""
    needed = {name: need for name, need in needs.items() if need}
    after = _with_top(text, {}) if needed else None
    for name, need in needed.items():
        after = after and _put_job(after, name, need)
    if after is None:
        return None
    gain = "a job that is added later starts with none" if len(needs) == 1 else _APART
    reason = f"The token gets no permission by default, so that {gain}: {_jobs(needed)}.{note}"
    return Repair(after=after, reason=reason, choice="permissions for each job")


def _with_top(text: str, permissions: Permissions) -> str | None:
    return put(text, ("0", "permissions"), permissions, before=_ABOVE_JOBS)


def _put_job(text: str, name: str, permissions: Permissions) -> str | None:
    return put(text, ("0", "jobs", name, "permissions"), permissions, after=("name", "runs-on"))


def _bare(workflow: Workflow) -> tuple[Job, ...]:
    """Return the jobs that have what the workflow gives."""
    return tuple(job for job in workflow.jobs if job.node.get("permissions") is None)


def _granted(top: Node) -> Permissions:
    return {key.value: value.value for key, value in top.pairs if value.value != "none"}


def _within(need: Permissions, granted: Mapping[str, str] | None) -> Permissions:
    """Return what a job needs of what it has had."""
    if granted is None:
        return need
    return {
        scope: "write" if level == granted[scope] == "write" else "read"
        for scope, level in need.items()
        if scope in granted
    }


def _writes(permissions: Permissions) -> bool:
    return "write" in permissions.values()


def _said(permissions: Permissions) -> str:
    scopes = [f"`{scope}: {level}`" for scope, level in permissions.items()]
    if len(scopes) < 2:  # noqa: PLR2004 - nothing to join
        return scopes[0] if scopes else "nothing"
    return f"{', '.join(scopes[:-1])} and {scopes[-1]}"


def _jobs(needs: _Needs) -> str:
    said = [f"{inline(name, 60)} gets {_said(need)}" for name, need in needs.items()]
    left = len(said) - _MAX_NAMED
    more = f"; {left} more job{'s get theirs' if left > 1 else ' gets its own'}"
    return "; ".join(said[:_MAX_NAMED]) + (more if left > 0 else "")


def _note(guessed: tuple[str, ...]) -> str:
    if not guessed:
        return ""
    named = inline(guessed[0], 80) + (f" and {len(guessed) - 1} more" if len(guessed) > 1 else "")
    verb = "are" if len(guessed) > 1 else "is"
    return (
        f" {named} {verb} given no token here; what writes with the default one needs its own"
        " permission in that job."
    )


def _weakness(where: str, line: int, end_line: int, weight: float) -> Weakness:
    return Weakness(check=PERMISSIONS, where=where, line=line, end_line=end_line, weight=weight)
