"""Weaknesses in code that tree-sitter finds and mends, a module a family."""
