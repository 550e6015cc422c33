"""What the generated pages of docs/ hold.

`python tests/docs_text.py` writes them anew; with a folder as argument, there instead of docs/.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_type_hints

from secdaemon.config.schema import Repository, Settings
from secdaemon.config.settings import defaults_text
from secdaemon.state.machine import ENDS, RULES, TRANSITIONS, WORKING, Cause, State, Step

DOCS = Path(__file__).parents[1] / "docs"

SETTINGS_HEAD = """\
# Settings

<!-- Made from config/defaults.yaml by `python tests/docs_text.py`; tests/test_docs.py compares. -->

`secdaemon init` writes these, with their comments, into `config.yaml` in the home. A missing key
takes its default. Later sources win:

1. the defaults below;
2. `config.yaml`, or the file that `--config` names instead;
3. `$OLMO_BASE_MODELS_DIR` (`models.base_dir`) and `$OLMO_DEFAULT_BASE_MODEL` (`models.base`);
4. `$SECDAEMON_<SECTION>__<KEY>`, for example `SECDAEMON_STAGE2__ITERATIONS=200`.

An unknown key, a wrong type or an impossible value is an error that names the key and, where there
is one, the nearest valid key. `~` is your home folder; a relative path starts from secdaemon's home.
When that home was named (`--home` or `$SECDAEMON_HOME`), the two model folders are `models/base` and
`models/fine-tuned` inside it unless they are set. Secrets never stand here: `$GITHUB_TOKEN` and
`$HF_TOKEN`, else the Keychain, else the `gh` and `hf` logins.
"""

STATES_HEAD = """\
# The states of a run

<!-- Made from state/machine.py by `python tests/docs_text.py`; tests/test_docs.py compares. -->

A run that stands in a state waits for, or is in, the step that leads on. Every move is one
transaction that also writes its event; what is not in the last table cannot happen.
"""

END_MEANINGS = {
    State.PUBLISHED: "uploaded, or written to the publish folder",
    State.SKIPPED: "nothing to learn: no findings, or the training data of the last finished run",
    State.SUPERSEDED: "a newer artifact of the project came before this one's training began",
    State.HELD: "trained, but a gate said no; kept on disk, with the reason",
    State.REJECTED: "the artifact itself cannot be used, with the reason",
    State.FAILED: "a step kept failing until its attempts were spent, with the last error",
    State.CANCELLED: "a person said so",
}


class Key(NamedTuple):
    """One documented key of the settings."""

    section: str
    name: str
    default: str
    meaning: str
    of_item: bool
    """Whether it is a key of an item of `github.repositories`."""


def settings_keys() -> Iterator[Key]:
    """Yield the keys of defaults.yaml in their order, the commented example of an item included."""
    section = ""
    for line in defaults_text().splitlines():
        if found := re.match(r"(\w+):", line):
            section = found[1]
        found = re.match(r"  (# - |#   )?(\w+): (.*?)\s+# (.+)$", line)
        if found:
            yield Key(section, found[2], found[3], found[4], of_item=bool(found[1]))


def settings_text() -> str:
    """Return docs/settings.md."""
    keys = list(settings_keys())
    parts = [SETTINGS_HEAD]
    for section, kind in get_type_hints(Settings).items():
        parts.append(f"\n## `{section}`\n\n{_summary(kind)}\n\n")
        parts.append(_table([key for key in keys if key.section == section and not key.of_item]))
        items = [key for key in keys if key.section == section and key.of_item]
        if items:
            parts.append(f"\nOne item of `{section}.repositories`. {_summary(Repository)}\n\n")
            parts.append(_table(items))
    return "".join(parts)


def _summary(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _table(keys: list[Key]) -> str:
    rows = "".join(
        f"| `{key.name}` | `{_cell(key.default)}` | {_cell(key.meaning)} |\n" for key in keys
    )
    return f"| key | default | meaning |\n| --- | --- | --- |\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def states_text() -> str:
    """Return docs/states.md."""
    shared = _shared_ends()
    ends = " or ".join(f"`{state}`" for state in shared)
    return (
        f"{STATES_HEAD}\n```mermaid\n{_diagram()}```\n\n"
        f"Not drawn: every state with a step left can also end {ends}, and `retry` brings\n"
        "a held or failed run back to the state before the step that it ended in. With publishing\n"
        "switched off, `retained` is the end.\n"
        f"\n## Steps\n\n{_steps()}\n## Ends\n\n{_ends()}\n## Every move\n\n{_moves()}"
    )


def _shared_ends() -> list[State]:
    """Return the ends that every working state can reach, which a picture need not repeat."""
    return [
        end
        for end in sorted(ENDS)
        if all(any((s, end) == (a, b) for a, b, _ in TRANSITIONS) for s in WORKING)
    ]


def _diagram() -> str:
    drawn: dict[tuple[State, State], list[Step | Cause]] = {}
    for source, target, cause in _ordered():
        if target not in _shared_ends() and cause is not Cause.RETRY:
            drawn.setdefault((source, target), []).append(cause)
    lines = ["stateDiagram-v2", f"    [*] --> {RULES[0].source}"]
    lines += [f"    {a} --> {b}: {', '.join(causes)}" for (a, b), causes in drawn.items()]
    lines += [
        f"    {end} --> [*]" for end in State if end in ENDS and any(end == b for _, b in drawn)
    ]
    return "\n".join(lines) + "\n"


def _ordered() -> list[tuple[State, State, Step | Cause]]:
    """Return every move in the order of the states and causes."""
    states, causes = list(State), [*Step, *Cause]
    return sorted(
        TRANSITIONS, key=lambda move: (*map(states.index, move[:2]), causes.index(move[2]))
    )


def _steps() -> str:
    rows = "".join(
        f"| `{rule.step}` | `{rule.source}` | `{rule.target}` | "
        f"{', '.join(f'`{end}`' for end in sorted(rule.ends))} | {rule.slot} |\n"
        for rule in RULES
    )
    return f"| step | from | to | or it ends | worker |\n| --- | --- | --- | --- | --- |\n{rows}"


def _ends() -> str:
    rows = ""
    for end in State:
        if end in ENDS:
            ways = sorted({cause for source, _, cause in TRANSITIONS if source is end})
            out = ", ".join(f"`{cause}`" for cause in ways) or "none"
            rows += f"| `{end}` | {END_MEANINGS[end]} | {out} |\n"
    return f"| end | when | ways out |\n| --- | --- | --- |\n{rows}"


def _moves() -> str:
    rows = "".join(f"| `{a}` | `{b}` | `{cause}` |\n" for a, b, cause in _ordered())
    return f"| from | to | by |\n| --- | --- | --- |\n{rows}"


PAGES = {"settings.md": settings_text, "states.md": states_text}


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    for name, text in PAGES.items():
        (folder / name).write_text(text(), encoding="utf-8")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
