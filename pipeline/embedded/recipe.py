"""Makes the embedded tiny model: `python -m secdaemon.pipeline.embedded.recipe OUTPUT_DIR`.

A byte-level BPE tokenizer and an OLMo-2-shaped model in float32, pretrained on `primer/` for some
minutes (five on one core with the BLAS of mlx's wheel, one with OpenBLAS). Everything follows from
the seed: the same processor, mlx wheel and BLAS give the same bytes; another BLAS gives another
model that is as good (the card that is written says how far apart they were).
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
from mlx import nn, optimizers
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models import olmo2
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    trainers,
)

from secdaemon.pipeline.embedded.primer_text import read_primer

END_OF_TEXT, PAD, TURN_START, TURN_END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, PAD, TURN_START, TURN_END)
"""Their ids are their places: 0 to 3."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

SHAPE: dict[str, Any] = {
    "model_type": "olmo2",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 1536,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "tie_word_embeddings": True,
    # transformers 5 reads rope_parameters, mlx-lm reads only this: both are written.
    "rope_theta": 500000.0,
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how fast the pretraining goes."""

    seed: int = 20
    steps: int = 1120
    batch: int = 1
    window: int = 256
    peak_rate: float = 3e-3
    warm_up: int = 20
    weight_decay: float = 0.05
    clip: float = 1.0
    projection_scale: float = 0.25


class Losses(msgspec.Struct, frozen=True):
    """Mean loss per token (nats) on the primer's held-out documents."""

    untrained: float
    pretrained: float


def make(output: Path, plan: Plan) -> Losses:
    """Write the model folder `output` (made when absent) and return what pretraining achieved."""
    mx.set_default_device(mx.cpu)
    primer = read_primer(plan.seed)
    tokenizer = train_tokenizer(primer.train)
    held_out = windows(token_stream(tokenizer, primer.held_out), plan.window)
    mx.random.seed(plan.seed)
    model = olmo2.Model(olmo2.ModelArgs.from_dict(SHAPE))
    initialise(model)
    untrained = mean_loss(model, held_out)
    pretrain(model, tokenizer, primer.train, plan)
    rescale_projections(model, plan.projection_scale)
    losses = Losses(untrained=untrained, pretrained=mean_loss(model, held_out))
    write_folder(output, model, tokenizer, plan, losses)
    return losses


def train_tokenizer(texts: tuple[str, ...]) -> Tokenizer:
    """Return a byte-level BPE tokenizer of exactly the vocabulary size of `SHAPE`.

    A line break is always a token of its own, so that what follows a role's line never changes
    the tokens before it: the tokens of a prompt are a prefix of those of prompt and answer.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), behavior="isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SHAPE["vocab_size"],
        special_tokens=[AddedToken(text, special=True) for text in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != SHAPE["vocab_size"]:
        msg = f"the primer yields only {tokenizer.get_vocab_size()} tokens: it is too short"
        raise ValueError(msg)
    return tokenizer


def token_stream(tokenizer: Tokenizer, documents: tuple[str, ...]) -> np.ndarray:
    """Return every document's ids in order, (n,) int32, with end-of-text after each."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return np.array(
        [i for text in documents for i in (*tokenizer.encode(text).ids, end)], dtype=np.int32
    )


def windows(stream: np.ndarray, width: int) -> np.ndarray:
    """Return the stream cut into rows of `width` inputs and one more target, tail dropped."""
    rows = (len(stream) - 1) // width
    return np.stack([stream[n * width : n * width + width + 1] for n in range(rows)])


def batches(tokenizer: Tokenizer, documents: tuple[str, ...], plan: Plan) -> Iterator[np.ndarray]:
    """Yield batches (batch, window + 1) without end; each epoch joins the documents anew."""
    epoch = 0
    while True:
        rng = np.random.default_rng([plan.seed, epoch])
        order = [documents[i] for i in rng.permutation(len(documents))]
        rows = rng.permutation(windows(token_stream(tokenizer, tuple(order)), plan.window))
        for start in range(0, len(rows) - plan.batch + 1, plan.batch):
            yield rows[start : start + plan.batch]
        epoch += 1


def initialise(model: nn.Module) -> None:
    """Draw every matrix from N(0, 0.02), as OLMo 2 does; norms stay at one."""
    model.update(
        tree_map(
            lambda p: 0.02 * mx.random.normal(p.shape) if p.ndim > 1 else p, model.parameters()
        )
    )
    mx.eval(model.parameters())


def loss_of(model: nn.Module, rows: mx.array) -> mx.array:
    """Return the mean cross entropy of the next token over (batch, window + 1) rows."""
    loss: mx.array = nn.losses.cross_entropy(model(rows[:, :-1]), rows[:, 1:], reduction="mean")
    return loss


def mean_loss(model: nn.Module, rows: np.ndarray) -> float:
    """Return the mean loss per token over `rows`, eight rows at a time."""
    total = 0.0
    for start in range(0, len(rows), 8):
        part = rows[start : start + 8]
        total += float(np.array(loss_of(model, mx.array(part)))) * len(part)
    return total / len(rows)


def pretrain(
    model: nn.Module, tokenizer: Tokenizer, documents: tuple[str, ...], plan: Plan
) -> None:
    """Train every parameter with AdamW: linear warm-up, then a cosine down to a tenth."""
    schedule = optimizers.join_schedules(
        [
            optimizers.linear_schedule(plan.peak_rate / plan.warm_up, plan.peak_rate, plan.warm_up),
            optimizers.cosine_decay(plan.peak_rate, plan.steps - plan.warm_up, plan.peak_rate / 10),
        ],
        [plan.warm_up],
    )
    optimizer = optimizers.AdamW(
        schedule, betas=[0.9, 0.98], weight_decay=plan.weight_decay, bias_correction=True
    )
    gradient = nn.value_and_grad(model, loss_of)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(rows: mx.array) -> mx.array:
        loss: mx.array
        loss, grads = gradient(model, rows)
        grads, _ = optimizers.clip_grad_norm(grads, plan.clip)
        optimizer.update(model, grads)
        return loss

    started = time.monotonic()
    for n, rows in zip(range(1, plan.steps + 1), batches(tokenizer, documents, plan), strict=False):
        loss = step(mx.array(rows))
        mx.eval(state, loss)
        if n % 80 == 0:
            seconds = time.monotonic() - started
            sys.stderr.write(f"step {n}/{plan.steps}  loss {loss.item():.3f}  {seconds:.0f} s\n")


def rescale_projections(model: nn.Module, scale: float) -> None:
    """Multiply q_proj and v_proj by `scale`, which leaves what the model computes as it is.

    OLMo 2 normalises queries (q_norm) and the attention's output (post_attention_layernorm), so
    the size of these two matrices cancels, up to the norms' epsilon. It does not cancel for LoRA:
    an adapter's step is measured against them. At a quarter, twenty iterations at the default rate
    of 2e-5 lowered the loss on held-out pairs 2.5 times as much as at full size, so that a short
    demo or test has something to show.
    """
    for layer in model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.v_proj):
            projection.weight = projection.weight * scale
    mx.eval(model.parameters())


def write_folder(
    output: Path, model: nn.Module, tokenizer: Tokenizer, plan: Plan, losses: Losses
) -> None:
    """Write weights, configuration, tokenizer and card."""
    output.mkdir(parents=True, exist_ok=True)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(output / "model.safetensors"), weights, metadata={"format": "pt"})
    tokenizer.save(str(output / "tokenizer.json"))
    end, pad, _, turn_end = range(4)
    ids = {"bos_token_id": end, "pad_token_id": pad}
    config = {
        "architectures": ["Olmo2ForCausalLM"],
        **SHAPE,
        "rope_parameters": {"rope_type": "default", "rope_theta": SHAPE["rope_theta"]},
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "dtype": "float32",
        "torch_dtype": "float32",
        **ids,
        "eos_token_id": turn_end,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": SHAPE["max_position_embeddings"],
        "bos_token": END_OF_TEXT,
        "eos_token": TURN_END,
        "pad_token": PAD,
        "unk_token": None,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    generation = {**ids, "eos_token_id": [turn_end, end], "do_sample": False}
    for name, content in (
        ("config.json", config),
        ("tokenizer_config.json", tokenizer_config),
        ("generation_config.json", generation),
    ):
        (output / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
    count = sum(array.size for array in weights.values())
    (output / "README.md").write_text(card(count, plan, losses), "utf-8")


def card(parameters: int, plan: Plan, losses: Losses) -> str:
    """Return the model card."""
    tokens = plan.steps * plan.batch * plan.window
    return f"""---
license: apache-2.0
library_name: mlx
pipeline_tag: text-generation
---

# secdaemon/embedded-tiny

An OLMo-2-shaped model of {parameters:,} parameters in float32, made by
`python -m secdaemon.pipeline.embedded.recipe` from text that the project carries. It exists so that
a demo and the tests can train something real in seconds. It knows next to nothing: do not use it to
judge code.

| | |
| --- | --- |
| pretraining | {tokens:,} tokens, {plan.steps} steps, seed {plan.seed} |
| held-out loss, untrained | {losses.untrained:.3f} nats per token |
| held-out loss, pretrained | {losses.pretrained:.3f} nats per token |

Most held-out documents come from the same templates as the training text, so the last number
flatters the model: on hand-written text it is about twice as high.

Made again with mlx's own BLAS on the same kind of processor, the weights are equal byte for byte.
Another BLAS or processor rounds differently, and the differences grow with the steps: with OpenBLAS
the tokenizer was equal, single weights differed by up to 0.4, and the held-out loss by 0.06.

The sizes of q_proj and v_proj were reduced to {plan.projection_scale} of what training left, which
changes nothing the model computes (both are followed by a normalisation) and lets small LoRA
steps show.
"""


def main() -> None:
    """Make the model where the command line says."""
    parser = argparse.ArgumentParser(description="Make the embedded tiny model.")
    parser.add_argument("output", type=Path, help="the folder to write")
    losses = make(parser.parse_args().output, Plan())
    sys.stderr.write(f"held-out loss {losses.untrained:.3f} -> {losses.pretrained:.3f}\n")


if __name__ == "__main__":
    main()
