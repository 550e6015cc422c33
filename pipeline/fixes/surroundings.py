"""What a part of a file has to stand in to be a program of its language."""

from secdaemon.pipeline.evaluation import grammars

_CLASS = ("class _ {\n", "\n}")
_FUNCTION = ("void _() {\n", "\n}")
_SURROUNDINGS = {
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


def surroundings_of(grammar: str, code: str) -> tuple[str, str] | None:
    """Return what comes before and after the code in the first place where it is grammatical.

    The code by itself comes first, then a class and a function; None where it is nowhere.
    """
    tried = (("", ""), *_SURROUNDINGS.get(grammar, ()))
    return next((each for each in tried if not errors_in(grammar, code.join(each))), None)


def errors_in(grammar: str, code: str) -> int:
    """Return how many errors the code's tree has."""
    root = grammars.parse(grammar, code)
    return grammars.errors(root) if root.has_error else 0
