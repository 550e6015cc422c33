"""CodeBLEU: how much a piece of code is like its reference, in words, structure and data flow.

Ren et al., CodeBLEU: a Method for Automatic Evaluation of Code Synthesis, 2020, arXiv:2009.10297,
with weights of a quarter each. Ours, because the `codebleu` package needs tree-sitter below 0.23.

- n-gram match: BLEU of one sentence (n to 4, brevity penalty, smoothing method 1 of Chen and Cherry
  2014, as the authors' program has it). Words, numbers and single signs are the tokens.
- weighted n-gram match: the authors' recall of n-grams (so without a brevity penalty), where the
  language's keywords count five times as much as other single tokens. The keywords are the words
  that the grammar spells out.
- syntax match: the share of the reference's subtrees, leaves' names left out, found in the
  candidate, each as often as it stands there (formula 4; the authors' program does not clip).
- data-flow match: the share of the reference's data-flow edges found in the candidate (formula 5;
  edges as in `dataflow`).

Comments count in the n-gram matches only. A match that the reference has nothing for (data flow in
YAML) is null, and the others share its weight.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.evaluation.dataflow import edges
from secdaemon.pipeline.evaluation.model import CodeBleu

_Thing = TypeVar("_Thing")

ORDERS = 4
_TOKEN = re.compile(r"\w+|[^\w\s]")
_OTHER = 0.2
"""What a single token weighs that is no keyword."""
_EPSILON = 0.1
"""Stands for no match at all of an n-gram's order."""


def codebleu(reference: str, candidate: str, language: str) -> CodeBleu | None:
    """Return how alike the two are; None where there is no grammar or no token to compare with."""
    grammar = grammars.grammar_of(language, reference)
    wanted, given = _TOKEN.findall(reference), _TOKEN.findall(candidate)
    if grammar is None or not wanted:
        return None
    roots = [grammars.parse(grammar, code) for code in (reference, candidate)]
    shapes: dict[tuple[str | int, ...], int] = {}
    syntax = _share(*(_subtrees(root, shapes) for root in roots))
    dataflow = _share(*(edges(root) for root in roots)) if grammars.flows(grammar) else None
    ngram = _bleu(wanted, given)
    weighted = _weighted(wanted, given, grammars.keywords(grammar))
    known = [part for part in (ngram, weighted, syntax, dataflow) if part is not None]
    return CodeBleu(
        value=math.fsum(known) / len(known),
        ngram=ngram,
        weighted_ngram=weighted,
        syntax=syntax,
        dataflow=dataflow,
    )


def _share(reference: Counter[_Thing], candidate: Counter[_Thing]) -> float | None:
    """Return how much of the reference is in the candidate; None where the reference is empty."""
    total = reference.total()
    return (reference & candidate).total() / total if total else None


def _orders(reference: Sequence[str]) -> range:
    """Return the orders that the reference has n-grams of."""
    return range(1, min(ORDERS, len(reference)) + 1)


def _ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))


def _bleu(reference: Sequence[str], candidate: Sequence[str]) -> float:
    shares = []
    for order in _orders(reference):
        given = _ngrams(candidate, order)
        shares.append(((given & _ngrams(reference, order)).total(), max(1, given.total())))
    return _brevity(reference, candidate) * _geometric(shares)


def _weighted(reference: Sequence[str], candidate: Sequence[str], words: frozenset[str]) -> float:
    shares: list[tuple[float, float]] = []
    for order in _orders(reference):
        wanted = _ngrams(reference, order)
        found = wanted & _ngrams(candidate, order)
        shares.append((_weight(found, words, order), _weight(wanted, words, order)))
    return _geometric(shares)


def _weight(counts: Counter[tuple[str, ...]], words: frozenset[str], order: int) -> float:
    if order > 1:
        return counts.total()
    return math.fsum(
        count * (1.0 if token in words else _OTHER) for (token,), count in counts.items()
    )


def _geometric(shares: Sequence[tuple[float, float]]) -> float:
    """Return the geometric mean of (found, of) by order; 0 where not even one token is found."""
    if not shares[0][0]:
        return 0.0
    return math.exp(
        math.fsum(math.log((found or _EPSILON) / of) for found, of in shares) / len(shares)
    )


def _brevity(reference: Sequence[str], candidate: Sequence[str]) -> float:
    if not candidate:
        return 0.0
    return min(1.0, math.exp(1 - len(reference) / len(candidate)))


def _subtrees(root: Node, shapes: dict[tuple[str | int, ...], int]) -> Counter[int]:
    """Return the shapes of all subtrees with a child, as numbers that `shapes` gives out."""
    counts: Counter[int] = Counter()
    shape_of: dict[int, int] = {}
    for node in reversed(grammars.nodes(root)):
        children = [child for child in node.named_children if "comment" not in child.type]
        shape: tuple[str | int, ...] = (node.type, *(shape_of[child.id] for child in children))
        shape_of[node.id] = shapes.setdefault(shape, len(shapes))
        if children and "comment" not in node.type:
            counts[shape_of[node.id]] += 1
    return counts
