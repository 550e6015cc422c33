"""Answers to findings: a scanner's own edit, the right version of a dependency, else advice."""
