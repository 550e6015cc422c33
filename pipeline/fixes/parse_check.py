"""Whether a fix leaves code grammatical, by the grammar of its language."""

import textwrap

from secdaemon.pipeline.evaluation import grammars

_CLASS = ("class _ {\n", "\n}")
_FUNCTION = ("void _() {\n", "\n}")
_ROOMS = {
    "c": (_FUNCTION,),
    "cpp": (_CLASS, _FUNCTION),
    "csharp": (_CLASS,),
    "go": (("package _\nfunc _() {\n", "\n}"),),
    "groovy": (_CLASS,),
    "java": (_CLASS, ("class _ { void _() {\n", "\n} }")),
    "javascript": (_CLASS, ("async function _() {\n", "\n}")),
    "json": (("{\n", "\n}"), ("[\n", "\n]")),
    "kotlin": (_CLASS, ("fun _() {\n", "\n}")),
    "php fragment": (_CLASS,),
    "tsx": (_CLASS, ("async function _() {\n", "\n}")),
    "typescript": (_CLASS, ("async function _() {\n", "\n}")),
    "xml": (("<_>\n", "\n</_>"),),
}
"""What a part of a file may have to stand in to be a program of its language."""
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
    rooms = (("", ""), *_ROOMS.get(grammar, ()))
    for opening, closing in rooms:
        if not _errors(grammar, opening + old + closing):
            return not _errors(grammar, opening + new + closing)
    return _errors(grammar, new) <= _errors(grammar, old)


def _loose(grammar: str, code: str) -> str:
    """Return code without common indentation, and without the comma to what follows it."""
    loose = textwrap.dedent(code).rstrip()
    return loose.removesuffix(_LISTS.get(grammar, "\0"))


def _errors(grammar: str, code: str) -> int:
    root = grammars.parse(grammar, code)
    return grammars.errors(root) if root.has_error else 0
