"""Classes and constants of Java and Kotlin, across files."""

import re

from tree_sitter import Node

from secdaemon.pipeline.routes.patterns import HOLE
from secdaemon.pipeline.routes.syntax import (
    MAX_DEPTH,
    Ref,
    Sources,
    above,
    child,
    field,
    text_of,
    within,
)

CLASSES = (
    "class_declaration",
    "interface_declaration",
    "object_declaration",
    "companion_object",
    "record_declaration",
    "enum_declaration",
)
_MAX_TEXT = 500
_CONSTANTS = r"|\b(?:const\s+val|static\s+final|final\s+static|interface)\b"
"""Marks of a file that others take texts from."""
_TEMPLATE = re.compile(r"(?<!\\)\$(?:\{([\w.]+)\}|([A-Za-z_]\w*)|\{[^{}]*\})")


class JvmNames:
    """Classes, their bases, and constants, of all Java and Kotlin files of a commit."""

    def __init__(self, sources: Sources, word: str) -> None:
        """Take the files that have a word, and those with constants."""
        self._sources = sources
        self.classes: dict[str, list[Ref]] = {}
        self.files = sources.of("java", "kt", "kts", word=word + _CONSTANTS)
        self._made: dict[tuple[str, int, int], str] = {}
        self._top: dict[str, list[Ref]] = {}
        for code in self.files:
            for node in within(code.root, *CLASSES):
                self.classes.setdefault(text_of(field(node, "name")), []).append(Ref(code, node))
            for node in code.root.named_children:
                if node.type == "property_declaration" and (value := _value(node)):
                    self._top.setdefault(_known(node), []).append(Ref(code, value))

    def bases(self, cls: Ref) -> list[Ref]:
        """Return the project's own superclass and interfaces."""
        self._sources.spend()
        listed = [
            each
            for each in cls.node.named_children
            if each.type in {"superclass", "super_interfaces", "extends_interfaces"}
            or each.type == "delegation_specifiers"
        ]
        names = [
            re.split(r"[<(.\s]", text_of(node))[0]
            for each in listed
            for node in within(each, "type_identifier", "user_type")
        ]
        known = [self.classes.get(name, []) for name in names]
        return [found[0] for found in known if len(found) == 1 and found[0].key != cls.key]

    def string(self, ref: Ref, depth: int = 0) -> str:
        """Return an expression's text; a HOLE stands where the code does not say."""
        self._sources.spend()
        node = ref.node
        if depth > MAX_DEPTH:
            return HOLE
        if node.type in {"string_literal", "multiline_string_literal"}:
            return self._read(ref, depth)
        if node.type in {"number_literal", "decimal_integer_literal"}:
            return text_of(node)
        if node.type in {"binary_expression", "additive_expression"}:
            left, right = field(node, "left"), field(node, "right")
            sides = [each for each in (left, right) if each is not None]
            made = "".join(self.string(ref.at(side), depth + 1) for side in sides)
            return made if len(made) <= _MAX_TEXT else HOLE
        if node.type == "parenthesized_expression":
            return self.string(ref.at(node.named_children[0]), depth + 1)
        return self._constant(ref, text_of(node), depth)

    def _read(self, ref: Ref, depth: int) -> str:
        """Return a string's text; Kotlin's holds names and expressions."""
        raw = text_of(ref.node).strip('"')
        if not ref.code.path.endswith((".kt", ".kts")):
            return raw.replace("\\\\", "\\")

        def filled(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            return self._constant(ref, name, depth + 1) if name else HOLE

        escaped = ref.node.type == "string_literal"
        made = _TEMPLATE.sub(filled, raw)
        return made.replace("\\$", "$").replace("\\\\", "\\") if escaped else made

    def _constant(self, ref: Ref, name: str, depth: int) -> str:
        owner, _, last = name.rpartition(".")
        found: list[Ref] = []
        if owner:
            for cls in self.classes.get(owner.rpartition(".")[2], []):
                found += _constants(cls, last)
        else:
            for node in above(ref.node, *CLASSES, "function_declaration"):
                found += _constants(ref.at(node), last)
                if found:
                    break
            found = found or self._top.get(last, []) or self._imported(ref, last)
        return self._same(found, depth)

    def _same(self, values: list[Ref], depth: int) -> str:
        """Return the text that all values are, a HOLE where they differ."""
        texts = set()
        for ref in values:
            if ref.key not in self._made:
                self._made[ref.key] = HOLE
                self._made[ref.key] = self.string(ref, depth + 1)
            texts.add(self._made[ref.key])
        return texts.pop() if len(texts) == 1 else HOLE

    def _imported(self, ref: Ref, name: str) -> list[Ref]:
        """Return what `import static a.B.NAME` (or `.*`) gives; inherited constants too."""
        found: list[Ref] = []
        for node in within(ref.code.root, "import_declaration", "import"):
            parts = text_of(node).removeprefix("import").strip(" ;").split(".")
            if len(parts) > 1 and parts[-1] in {name, "*"}:
                for cls in self.classes.get(parts[-2].strip(), []):
                    found += _constants(cls, name)
        for node in above(ref.node, *CLASSES):
            for base in self.bases(ref.at(node)):
                found += _constants(base, name)
        return found


def _value(node: Node) -> Node | None:
    """Return what a Kotlin property is set to."""
    seen = False
    for each in node.children:
        if seen and each.is_named:
            return each
        seen = seen or each.type == "="
    return None


def _known(node: Node) -> str:
    """Return the name of a Kotlin property."""
    return text_of(child(node, "variable_declaration")).partition(":")[0].strip()


def _constants(cls: Ref, name: str) -> list[Ref]:
    """Return the values of a class's field of a name, of its companion too."""
    found = []
    for node in within(cls.node, "variable_declarator", "property_declaration"):
        if node.type == "property_declaration":
            known, value = _known(node), _value(node)
        else:
            known, value = text_of(field(node, "name")), field(node, "value")
        if known == name and value is not None:
            found.append(cls.at(value))
    return found
