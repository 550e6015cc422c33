"""Text of outsiders in the scripts of a GitHub workflow: put there before the shell reads it.

GitHub replaces `${{ … }}` in a script by its value, whatever characters that has, so a title can
close a quote and go on as a command. The value of an environment variable is never read as code.
"""

import re
from collections.abc import Callable

import msgspec
from tree_sitter import Node as SyntaxNode

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.script_variables import (
    MARK,
    Written,
    in_javascript,
    in_shell,
)
from secdaemon.pipeline.fixes.configuration.workflow import (
    SCRIPT_ACTION,
    Job,
    Step,
    Workflow,
    read_workflow,
)
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, put, replace
from secdaemon.pipeline.fixes.quote import inline

INJECTION = "script-injection"

_EXPRESSION = re.compile(r"\$\{\{((?:[^{}'\n]|'[^'\n]*')*)\}\}")
_OUTSIDE = re.compile(
    r"(?<![\w.-])(?:github\.event\.[\w.*-]+|github\.head_ref|github\.ref_name|github\.ref"
    r"|inputs\.[\w-]+)(?![\w(-])"
)
_HARMLESS = re.compile(
    r"github\.event\.(?:[\w.*-]+\.)?(?:number|id|node_id|sha|before|after|action|created_at|run_id"
    r"|run_number|draft|merged|private|fork|state|conclusion|type|event)"
)
_COMPARES = re.compile(r"==|!=|[<>]|^\s*!|\b(?:contains|startsWith|endsWith|hashFiles)\s*\(")
_SEVERAL = re.compile(
    r"(?:^|_)(?:args?|arguments?|flags?|options?|opts|params?|commands?|cmd|script|run)$",
    re.IGNORECASE,
)
_MARKED = re.compile(r"SECDAEMONx(\d+)x")
_MAX_SCRIPT = 32 * 1024
_MAX_EXPRESSIONS = 40


class _Code(msgspec.Struct, frozen=True):
    """The scripts of steps: where the code stands, and how a variable is written in it."""

    key: Place
    grammar: str
    written: Callable[[str, SyntaxNode, str], Written | None]


def find_injections(workflow: Workflow) -> tuple[Weakness, ...]:
    """Return the scripts with an expression that an outsider may choose the value of."""
    found = []
    for job in workflow.jobs:
        for step in job.steps:
            script = _script(step)
            outside = _outside(script.value) if script is not None else ()
            if script is None or not outside:
                continue
            named = any("inputs." not in name and name != "github.ref" for _, name in outside)
            found.append(
                Weakness(
                    check=INJECTION,
                    where=step.where,
                    line=step.node.line,
                    end_line=step.node.end_line,
                    weight=1.0 if named else 0.5,
                )
            )
    return tuple(found)


def mend_injection(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the step with its expressions in `env` and quoted variables in the script."""
    workflow = read_workflow(text)
    at = _step_at(workflow, weakness.where) if workflow is not None else None
    if workflow is None or at is None:
        return ()
    job, step = at
    script = _script(step)
    code = _code(workflow, job, step)
    if script is None or code is None or script.anchor or _reads_outside(workflow, at, script):
        return ()
    outside = _outside(script.value)
    names = _names(step, outside)
    if names is None:
        return ()
    mended = _rewritten(script.value, names, code)
    raw = text[script.start : script.end]
    changed = None if mended is None else _rewritten_raw(raw, script, names, code)
    after = replace(text, (*step.place, *code.key), changed) if changed else None
    for expression, name in names.items():
        value = f"${{{{{expression}}}}}"
        after = after and put(after, (*step.place, "env", name), value, after=_ENV_AFTER)
    if after is None or not _says(after, step, code, mended):
        return ()
    return (Repair(after=after, reason=_reason(names, outside, code)),)


_ENV = re.compile(r"\benv\.(\w+)")
_ENV_AFTER = ("name", "id", "if", "uses")


def _reason(names: dict[str, str], outside: tuple[tuple[str, str], ...], code: _Code) -> str:
    first = outside[0][1]
    variable = names[outside[0][0]]
    read = f"process.env.{variable}" if code.grammar == "javascript" else f"${variable}"
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return (
        f"{inline(first)}{more} was pasted into the script before it ran, so that its text could"
        f" run as commands; it now arrives in the environment and {inline(read)} is only data."
    )


def _script(step: Step) -> Node | None:
    if step.run is not None:
        return step.run
    if step.action != SCRIPT_ACTION:
        return None
    script = step.node.get("with", "script")
    return script if script is not None and script.kind == "scalar" else None


def _outside(script: str) -> tuple[tuple[str, str], ...]:
    """Return each expression whose value an outsider may choose, and what it reads of theirs."""
    found: dict[str, str] = {}
    if len(script) > _MAX_SCRIPT:
        return ()
    for expression in _EXPRESSION.findall(script):
        names = [name for name in _OUTSIDE.findall(expression) if not _HARMLESS.fullmatch(name)]
        if names and ("&&" in expression or not _COMPARES.search(expression)):
            found.setdefault(expression, names[0])
    return tuple(found.items())


def _reads_outside(workflow: Workflow, at: tuple[Job, Step], script: Node) -> bool:
    """Whether an outsider's text comes into a script by a variable that is pasted into it."""
    job, step = at
    names = {name for each in _EXPRESSION.findall(script.value) for name in _ENV.findall(each)}
    holders = (workflow.root, job.node, step.node)
    values = (holder.get("env", name) for holder in holders for name in sorted(names))
    return any(value is not None and _outside(value.value) for value in values)


def _step_at(workflow: Workflow, where: str) -> tuple[Job, Step] | None:
    steps = ((job, step) for job in workflow.jobs for step in job.steps)
    return next((at for at in steps if at[1].where == where), None)


def _code(workflow: Workflow, job: Job, step: Step) -> _Code | None:
    """Return what the script is written in, None where that is not known to be bash or the like."""
    if step.run is None:
        return _Code(("with", "script"), "javascript", in_javascript)
    shells = (
        step.node.get("shell"),
        job.node.get("defaults", "run", "shell"),
        workflow.root.get("defaults", "run", "shell"),
    )
    shell = next((node.value for node in shells if node is not None), "")
    if shell:
        is_bash = shell.split()[0] in {"bash", "sh"} if shell.split() else False
    else:
        # Without a shell it is PowerShell on Windows, where `$NAME` is something else.
        runner = job.node.get("runs-on")
        said = workflow.document.text[runner.start : runner.end] if runner is not None else ""
        is_bash = "windows" not in said.lower() and (
            "${{" not in said or "windows" not in workflow.document.text.lower()
        )
    return _Code(("run",), "shell", in_shell) if is_bash else None


def _names(step: Step, outside: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """Return a variable for each expression; None where one may be several words on purpose."""
    env = step.node.get("env")
    if (env is not None and env.kind != "mapping") or len(outside) > _MAX_EXPRESSIONS:
        return None
    taken = {key.value: value.value for key, value in (env.pairs if env is not None else ())}
    names: dict[str, str] = {}
    for expression, read in outside:
        value = f"${{{{{expression}}}}}"
        known = next((key for key, given in taken.items() if given == value), None)
        base = known or _name(read)
        if _SEVERAL.search(base):
            return None
        name, count = base, 2
        while known is None and name in taken:
            name, count = f"{base}_{count}", count + 1
        taken[name] = value
        names[expression] = name
    return names


def _name(read: str) -> str:
    """Return `github.event.pull_request.title` as PULL_REQUEST_TITLE, `inputs.tag` as INPUT_TAG."""
    parts = [part for part in read.split(".") if part != "*"]
    if "inputs" in parts[:-1]:
        parts = ["input", parts[-1]]
    elif parts[:2] == ["github", "event"]:
        parts = parts[2:][-2:]
    else:
        # GITHUB_REF and the like are the runner's own, and cannot be set.
        parts = ["head", "ref"] if parts[-1] == "head_ref" else ["git", parts[-1]]
    name = re.sub(r"\W+", "_", "_".join(parts)).upper()
    return f"EVENT_{name}" if re.match(r"GITHUB_|RUNNER_|\d", name) else name


def _marked(script: str, names: dict[str, str]) -> tuple[str, list[str]]:
    """Return the script with a word in place of each expression; other expressions are words too.

    Second: the variable for each mark, "" for an expression that stays.
    """
    variables: list[str] = []

    def mark(match: re.Match[str]) -> str:
        variables.append(names.get(match[1], ""))
        return MARK.format(len(variables) - 1)

    return _EXPRESSION.sub(mark, script), variables


def _rewritten(script: str, names: dict[str, str], code: _Code) -> str | None:
    pieces = _pieces(script, names, code)
    return None if pieces is None else _filled(script, pieces, names)


def _pieces(script: str, names: dict[str, str], code: _Code) -> list[tuple[str, str, str]] | None:
    """Return for each expression in its order the text before, in place of, and behind it.

    What stands before and behind is taken away: the quotes of a JavaScript string.
    """
    marked, variables = _marked(script, names)
    if _MARKED.search(script):
        return None
    root = grammars.parse(code.grammar, marked)
    if root.has_error:
        return None
    source = marked.encode("utf-8", "replace")
    pieces: list[tuple[str, str, str]] = []
    for match in _MARKED.finditer(marked):
        variable = variables[int(match[1])]
        if not variable:
            pieces.append(("", "", ""))
            continue
        start = len(marked[: match.start()].encode("utf-8", "replace"))
        node = root.descendant_for_byte_range(start, start + len(match[0]))
        put_in = code.written(variable, node, match[0]) if node is not None else None
        if put_in is None:
            return None
        whole, new = put_in
        before = "" if whole is None else source[whole.start_byte : start].decode()
        behind = source[start + len(match[0]) : whole.end_byte].decode() if whole else ""
        pieces.append((before, new, behind))
    return pieces


def _filled(script: str, pieces: list[tuple[str, str, str]], names: dict[str, str]) -> str | None:
    """Return a script with the pieces in place of its expressions."""
    out, at = "", 0
    for match, (before, new, behind) in zip(_EXPRESSION.finditer(script), pieces, strict=False):
        if match[1] not in names:
            continue
        out += script[at : match.start()]
        if not out.endswith(before) or not script.startswith(behind, match.end()):
            return None
        out = out[: len(out) - len(before)] + new
        at = match.end() + len(behind)
    return out + script[at:]


def _rewritten_raw(raw: str, script: Node, names: dict[str, str], code: _Code) -> str | None:
    """Return the script as it stands in the file, with what YAML's own quotes ask for."""
    pieces = _pieces(script.value, names, code)
    if pieces is None or len(pieces) != len(_EXPRESSION.findall(raw)):
        return None
    if script.style == '"':
        if any(before or behind for before, _, behind in pieces):
            return None
        pieces = [(b, new.replace("\\", "\\\\").replace('"', '\\"'), e) for b, new, e in pieces]
    if script.style == "'":
        pieces = [
            (b.replace("'", "''"), n.replace("'", "''"), e.replace("'", "''")) for b, n, e in pieces
        ]
    return _filled(raw, pieces, names)


def _says(text: str, step: Step, code: _Code, script: str | None) -> bool:
    """Whether the script that the file has now is the one that was meant."""
    workflow = read_workflow(text)
    at = _step_at(workflow, step.where) if workflow is not None else None
    found = at[1].node.get(*code.key) if at is not None else None
    return found is not None and found.value == script
