"""Token ids of examples."""

from pathlib import Path

import pytest

from secdaemon.pipeline.examples import Example, Turn, conversation
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.tokens import NO_ANSWER, TOO_LONG, prepare


def example(answer: str, name: str = "one") -> Example:
    """Return an example with this answer."""
    return Example(id=name, messages=conversation("What is wrong?", answer), group="g", weight=2.0)


def test_the_answer_begins_at_the_offset(base: Path) -> None:
    """Tokens from the offset on are the answer and the end of the turn."""
    _, tokenizer = load_base(base)
    (tokens,) = prepare(tokenizer, [example("Nothing at all.")], 512).examples
    assert tokenizer.decode(list(tokens.ids[: tokens.offset])).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(list(tokens.ids[tokens.offset :])) == "Nothing at all.<|im_end|>\n"
    assert (tokens.id, tokens.group, tokens.weight) == ("one", "g", 2.0)


def test_what_does_not_fit_is_counted(base: Path) -> None:
    """Used and left out examples add up, and the used ones keep their own names."""
    _, tokenizer = load_base(base)
    rows = [example("short", "a"), example("long " * 500, "b"), example("short", "c")]
    prepared = prepare(tokenizer, rows, 128)
    assert [tokens.id for tokens in prepared.examples] == ["a", "c"]
    assert prepared.left_out == {TOO_LONG: 1}


class Joining:
    """A tokenizer whose template writes no answer, or joins it to the prompt's end."""

    chat_template = "yes"

    def apply_chat_template(
        self,
        messages: list[dict[str, str]],
        *,
        add_generation_prompt: bool = False,
        return_dict: bool,
    ) -> list[int]:
        """Return a token a character; the prompt's own end stands in no conversation."""
        assert not return_dict
        text = "".join(message["content"] for message in messages)
        return [ord(character) for character in text] + [0] * add_generation_prompt


def test_a_prompt_that_is_no_prefix_is_cut_at_the_difference() -> None:
    """The answer begins where prompt and conversation part."""
    turns = (Turn("user", "abc"), Turn("assistant", "def"))
    row = Example(id="x", messages=turns, group="g")
    (tokens,) = prepare(Joining(), [row], 100).examples
    assert tokens.offset == 3


def test_an_empty_answer_is_left_out() -> None:
    """An example in which the assistant says nothing teaches nothing."""
    turns = (Turn("user", "abc"), Turn("assistant", ""))
    assert prepare(Joining(), [Example(id="x", messages=turns, group="g")], 100).left_out == {
        NO_ANSWER: 1
    }


def test_a_model_without_template_is_refused(base: Path) -> None:
    """A base model that cannot chat is named as the problem."""
    _, tokenizer = load_base(base)
    tokenizer.chat_template = None
    with pytest.raises(PermanentError, match="chat template"):
        prepare(tokenizer, [example("short")], 128)
