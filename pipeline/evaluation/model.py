"""What evaluation finds, as plain data: of answers, of models side by side, of test splits."""

from typing import Literal

import msgspec

from secdaemon.pipeline.interface import Interval, Metrics

Stage = Literal["stage1", "stage2"]
"""Whose test split it is."""

MODELS = ("base", "stage1", "stage2", "healed", "champion")
"""Every model that may stand side by side, in that order; `healed` is the final model where it is
not Stage 2 as trained, `champion` the project's last published one."""

By = Literal["tool", "category", "cwe", "language"]


class CodeBleu(msgspec.Struct, frozen=True, kw_only=True):
    """The four matches and their mean, each 0 to 1; null where the reference has nothing for it."""

    value: float
    ngram: float
    weighted_ngram: float
    syntax: float | None
    dataflow: float | None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wrote, greedily, for one example."""

    id: str
    text: str
    exact: bool
    """It is the reference, token for token."""
    exact_normalised: bool
    """It is the reference but for white space."""
    cut: bool
    """It reached the most tokens that are generated before it came to an end."""
    language: str | None = None
    """Of the reference's code; null where that has none."""
    codebleu: CodeBleu | None = None
    """Of its code against the reference's; null without a grammar of the language."""
    parses: bool | None = None
    """Its code has no more syntax errors than the reference's or the question's; null as above."""
    checks: dict[str, bool] = {}
    """By the names of `checks.NAMES`; one that does not apply is absent."""


class Rate(msgspec.Struct, frozen=True):
    """How many of those that it applies to."""

    passed: int
    of: int


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """The generations of one model on some examples."""

    examples: int
    exact: int
    exact_normalised: int
    cut: int
    codebleu: float | None
    """The mean over those that have one."""
    codebleu_of: int
    without_grammar: dict[str, int]
    """Examples with code in a language that no grammar is there for, by language."""
    parses: Rate
    checks: dict[str, Rate]


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much better one model is than another on the same examples; below 0 it is worse.

    Losses in nats per token, accuracies as shares; intervals are paired and clustered by group.
    """

    model: str
    over: str
    loss: Interval
    token_accuracy: Interval
    edited_loss: Interval
    edited_token_accuracy: Interval


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """All models on the examples of one tool, category, weakness or language."""

    by: By
    value: str
    """Empty where the examples do not say."""
    examples: int
    models: dict[str, Metrics]
    generated: dict[str, Generated]


class SplitResult(msgspec.Struct, frozen=True, kw_only=True):
    """All models on one test split."""

    examples: int
    models: dict[str, Metrics]
    generated: dict[str, Generated]
    gains: tuple[Gain, ...]
    """Of every model over the base, and of every later one over Stage 1."""
    rows: tuple[Row, ...]
    weighted: dict[str, float | None]
    """Token accuracy of each model, the mean of its categories by `CATEGORY_WEIGHTS`."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """R[i][j]: what the model after stage i (0 is the base) scores on the test split of stage j.

    Rows are the models, columns the splits; null where it was not measured.
    """

    models: tuple[str, ...]
    splits: tuple[Stage, ...]
    token_accuracy: tuple[tuple[float | None, ...], ...]
    loss: tuple[tuple[float | None, ...], ...]
    edited_token_accuracy: tuple[tuple[float | None, ...], ...]
    edited_loss: tuple[tuple[float | None, ...], ...]


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """What learning one stage does to the other (Lopez-Paz and Ranzato 2017), null if not known."""

    backward: Gain | None
    """The final model over Stage 1 on Stage 1's split (BWT); below 0 something was forgotten."""
    forward: Gain | None
    """Stage 1 over the base on Stage 2's split (FWT)."""


class Specialisation(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of the plan: token accuracy over the assistant's tokens, 0 to 1; null without any."""

    stage1: float | None
    """Stage 1 on its own test split."""
    stage2: float | None
    """The final model on Stage 2's test split."""
    sequential: float | None
    """The final model on Stage 1's test split."""
    overall: float | None
    """The final model on Stage 2's test split, the mean of its categories by weight."""
    categories: dict[str, float]
    smallest: str | None
    """The category with the lowest score."""

    @property
    def smallest_score(self) -> float | None:
        """The lowest score of a category."""
        return None if self.smallest is None else self.categories[self.smallest]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """evaluation_results.json of a run: every model, on both test splits."""

    champion_run: str | None
    splits: dict[Stage, SplitResult]
    matrix: Matrix
    transfer: Transfer
    specialisation: Specialisation


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one test case."""

    loss: float | None
    """In nats per assistant token."""
    token_accuracy: float
    tokens: int
    edited_loss: float | None
    edited_token_accuracy: float | None
    edited_tokens: int
    generation: Generation | None
    """Null where the case is not in the sample that is generated for."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A file of model_evaluation/: one test example and what every model makes of it."""

    id: str
    split: Stage
    group: str
    tool: str
    category: str
    cwe: str
    language: str
    approach: str
    question: str
    reference: str
    models: dict[str, CaseResult]
