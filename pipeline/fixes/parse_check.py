"""Whether a fix leaves code grammatical, by the grammar of its language."""

import textwrap

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.surroundings import errors_in, surroundings_of

_LISTS = {"json": ","}


def parses(path: str, before: str, after: str) -> bool | None:
    """Return whether code of a file has no error after a fix that it had not before.

    Both are read in the first surroundings (none, a class, a function) in which the code was
    grammatical before, and have to be afterwards; where there are none, errors are counted.
    None where the file's language has no grammar.
    """
    grammar = grammars.grammar_at(path, before)
    if grammar is None:
        return None
    old, new = _loose(grammar, before), _loose(grammar, after)
    room = surroundings_of(grammar, old)
    if room is not None:
        return not errors_in(grammar, new.join(room))
    return errors_in(grammar, new) <= errors_in(grammar, old)


def _loose(grammar: str, code: str) -> str:
    """Return code without common indentation, and without the comma to what follows it."""
    loose = textwrap.dedent(code).rstrip()
    return loose.removesuffix(_LISTS.get(grammar, "\0"))
