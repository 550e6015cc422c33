"""Edits in the files that declare dependencies, a module an ecosystem."""
