"""A constraint on a package that no script of a Gradle module names."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.gradle_script import Script
from secdaemon.pipeline.fixes.manifests.model import Upgrade, indent_at, line_start
from secdaemon.pipeline.fixes.model import TextEdit

_SPRING = "io.spring.dependency-management"
_UNIT = re.compile(r"^(\t| {2,8})(?=\S)", re.MULTILINE)


def constraint_edit(script: Script, upgrade: Upgrade, configuration: str) -> TextEdit | None:
    """Return the edit that constrains the package, in the script's own style.

    Spring's dependency management plugin overrides Gradle's constraints, so that it is told itself.
    """
    coordinate = f"{upgrade.name}:{upgrade.version}"
    quoted = f'"{coordinate}"' if script.is_kotlin else f"'{coordinate}'"
    why = f'because("{upgrade.advisory}")' if script.is_kotlin else f"because '{upgrade.advisory}'"
    if configuration == "classpath":
        blocks: tuple[str, ...] = ("buildscript", "dependencies", "constraints")
        if script.block("buildscript") is None:
            return None
    elif _SPRING in script.text:
        line = f"dependency({quoted})" if script.is_kotlin else f"dependency {quoted}"
        return _within(script, ("dependencyManagement", "dependencies"), [line])
    else:
        blocks = ("dependencies", "constraints")
    call = f"{configuration}({quoted})"
    if script.is_kotlin and re.search(rf"[\"']{configuration}[\"']\s*\(", script.text):
        call = f'add("{configuration}", {quoted})'
    return _within(script, blocks, [f"{call} {{", f"{{unit}}{why}", "}"])


def _within(script: Script, blocks: tuple[str, ...], lines: list[str]) -> TextEdit | None:
    """Return the edit that puts lines at the end of nested blocks, which it makes where missing."""
    match = _UNIT.search(script.text)
    unit = match[1] if match else "    "
    held = next((n for n in range(len(blocks), 0, -1) if script.block(*blocks[:n]) is not None), 0)
    for name in reversed(blocks[held:]):
        lines = [f"{name} {{", *(f"{{unit}}{line}" for line in lines), "}"]
    lines = [line.replace("{unit}", unit) for line in lines]
    body = script.block(*blocks[:held]) if held else None
    if body is None:
        text = script.text
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return TextEdit(len(text), len(text), gap + "\n".join(lines) + "\n")
    return _before_close(script, body, unit, lines)


def _before_close(script: Script, body: Node, unit: str, lines: list[str]) -> TextEdit | None:
    """Return the edit that puts lines before the brace that closes a block."""
    last = body.children[-1] if body.children else None
    if last is None or last.type != "}" or last.is_missing:
        return None
    close, text = script.start(last), script.text
    base = indent_at(text, script.start(body))
    block = "".join(f"{base}{unit}{line}\n" for line in lines)
    begin = line_start(text, close)
    if text[begin:close].strip():
        opened = script.start(body) + 1
        held = text[opened:close].strip()
        if "\n" in held or not text[opened:].startswith((" ", held[:1])):
            return None
        return TextEdit(opened, close, f"\n{base}{unit}{held}\n{block}{base}")
    return TextEdit(begin, begin, block)
