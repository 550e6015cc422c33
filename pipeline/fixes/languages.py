"""Which language a file is written in, by its name."""

from pathlib import PurePosixPath

NONE = "none"
"""The language of what is no source text: an image, a host, a package."""

_BY_NAME = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "jenkinsfile": "groovy",
    "makefile": "makefile",
    "go.mod": "go",
    "gemfile": "ruby",
}

_BY_SUFFIX = {
    ".bash": "shell",
    ".c": "c",
    ".cc": "cpp",
    ".cjs": "javascript",
    ".clj": "clojure",
    ".coffee": "coffeescript",
    ".cpp": "cpp",
    ".cs": "csharp",
    ".css": "css",
    ".cxx": "cpp",
    ".dart": "dart",
    ".ejs": "html",
    ".erb": "html",
    ".erl": "erlang",
    ".ex": "elixir",
    ".exs": "elixir",
    ".go": "go",
    ".gradle": "groovy",
    ".groovy": "groovy",
    ".h": "c",
    ".hbs": "html",
    ".hcl": "terraform",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".hs": "haskell",
    ".htm": "html",
    ".html": "html",
    ".java": "java",
    ".jinja": "html",
    ".jinja2": "html",
    ".jl": "julia",
    ".js": "javascript",
    ".json": "json",
    ".jsp": "html",
    ".jsx": "javascript",
    ".kt": "kotlin",
    ".kts": "kotlin",
    ".less": "css",
    ".lua": "lua",
    ".m": "objective-c",
    ".mjs": "javascript",
    ".ml": "ocaml",
    ".mm": "objective-c",
    ".mts": "typescript",
    ".php": "php",
    ".phtml": "php",
    ".pl": "perl",
    ".plist": "xml",
    ".pm": "perl",
    ".properties": "properties",
    ".ps1": "powershell",
    ".py": "python",
    ".r": "r",
    ".rb": "ruby",
    ".rs": "rust",
    ".scala": "scala",
    ".scss": "css",
    ".sh": "shell",
    ".sol": "solidity",
    ".sql": "sql",
    ".svelte": "html",
    ".swift": "swift",
    ".tf": "terraform",
    ".toml": "toml",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".vb": "vb",
    ".vue": "html",
    ".xml": "xml",
    ".yaml": "yaml",
    ".yml": "yaml",
}

_BY_WORD = {
    "c#": "csharp",
    "c++": "cpp",
    "docker": "dockerfile",
    "hcl": "terraform",
    "objective-c": "objective-c",
    **{suffix.removeprefix("."): language for suffix, language in _BY_SUFFIX.items()},
    **{language: language for language in (*_BY_SUFFIX.values(), *_BY_NAME.values())},
}

_TITLES = {
    "cpp": "C++",
    "csharp": "C#",
    "css": "CSS",
    "html": "HTML",
    "javascript": "JavaScript",
    "json": "JSON",
    "php": "PHP",
    "powershell": "PowerShell",
    "sql": "SQL",
    "toml": "TOML",
    "typescript": "TypeScript",
    "xml": "XML",
    "yaml": "YAML",
}

_HASH_COMMENTS = frozenset(
    [
        "dockerfile",
        "makefile",
        "perl",
        "powershell",
        "properties",
        "python",
        "ruby",
        "shell",
        "terraform",
        "toml",
        "yaml",
    ]
)
_MARKUP = frozenset(("html", "xml"))


def language_of(path: str) -> str:
    """Return the language of a file, `none` where its name does not tell.

    The words are those of a fenced block's info string, lower case.
    """
    file = PurePosixPath(path.lower())
    if file.name.startswith("dockerfile.") or file.suffix == ".dockerfile":
        return "dockerfile"
    return _BY_NAME.get(file.name) or _BY_SUFFIX.get(file.suffix, NONE)


def language_named(word: str) -> str:
    """Return the language that a data set calls `word` (a name or a suffix), `none` if none."""
    return _BY_WORD.get(word.strip().lower().removeprefix("."), NONE)


def path_of(language: str) -> str:
    """Return a made-up file name of the language, "" where none is known.

    No build script's: those are read otherwise.
    """
    if language in _BY_NAME.values() and language not in _BY_SUFFIX.values():
        return next(name for name, found in _BY_NAME.items() if found == language)
    suffixes = (suffix for suffix, found in _BY_SUFFIX.items() if found == language)
    return next((f"file{suffix}" for suffix in suffixes if suffix != ".gradle"), "")


def title_of(language: str) -> str:
    """Return the language's name as it is written in a sentence."""
    return _TITLES.get(language, language.title())


def comment(language: str, text: str) -> str:
    """Return a line that is a comment in the language (`//` where it is not known)."""
    if language in _MARKUP:
        return f"<!-- {text} -->"
    return f"{'#' if language in _HASH_COMMENTS else '//'} {text}"
