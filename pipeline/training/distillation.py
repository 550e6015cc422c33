"""Knowledge distillation: the student keeps close to what the frozen Stage 1 model answers.

    loss = (1 - w) * CE(answer, student) + w * T^2 * KL(teacher_T || student_T)

Both are means over the assistant's tokens, in nats; the suffix T is a softmax of the logits over
the temperature T, and T^2 keeps the gradient's size whatever T is (Hinton, Vinyals and Dean 2015,
arXiv:1503.02531). That the teacher is the model before the new task, asked on the new task's own
questions, is learning without forgetting (Li and Hoiem 2016, arXiv:1606.09282).
"""

import copy
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from secdaemon.pipeline.training.trainer import Loss


def teacher_of(model: Any) -> Any:
    """Return the model as it is now, frozen and without dropout.

    It is a second tree of modules over the same memory. Training gives the model new adapter
    arrays and leaves the old ones to the teacher, so that a teacher costs the adapter's memory once
    more and no second base, quantised or not.
    """
    # An alias of each array: a compiled step refuses to close over an array that is its input too.
    aliases = {
        id(array): mx.stop_gradient(array)
        for _, array in tree_flatten(model)
        if isinstance(array, mx.array)
    }
    mx.eval(aliases)
    teacher = copy.deepcopy(model, aliases)
    teacher.freeze()
    teacher.eval()
    return teacher


def divergence(teacher: mx.array, student: mx.array, temperature: float) -> mx.array:
    """Return KL(teacher || student) of two sets of logits at a temperature, in nats.

    Logits are (..., vocabulary), the result is (...), float32; no gradient reaches the teacher.
    It is written as sum p (t - s) - lse(t) + lse(s), with one softmax in memory and not four, and
    is exactly 0 where the two are equal.
    """
    wise = mx.stop_gradient(teacher.astype(mx.float32) / temperature)
    young = student.astype(mx.float32) / temperature
    gap = (mx.softmax(wise, axis=-1) * (wise - young)).sum(axis=-1)
    return gap - mx.logsumexp(wise, axis=-1) + mx.logsumexp(young, axis=-1)


def distilled(teacher: Any, weight: float, temperature: float) -> Loss:
    """Return the loss above, for every batch, Stage 1's own and the project's.

    On the project's batches the teacher says what Stage 1 would have answered, which is what must
    not drift; on Stage 1's it says how sure it was of each token, which the text does not tell.

    Args:
        teacher: what `teacher_of` returned; called under the student's compiled step.
        weight: w, from 0 to 1.
        temperature: T, above 0.
    """

    def loss(model: Any, ids: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
        inputs, targets = ids[:, :-1], ids[:, 1:]
        places = mx.arange(1, targets.shape[1] + 1)
        mask = mx.logical_and(places >= spans[:, 0:1], places < spans[:, 1:2])
        wise = teacher(inputs)
        logits = model(inputs)
        hard = nn.losses.cross_entropy(logits, targets).astype(mx.float32)
        soft = temperature**2 * divergence(wise, logits, temperature)
        count = mask.sum()
        # where, not a product: what a pad makes of infinite logits times zero would be NaN.
        mixed = mx.where(mask, (1 - weight) * hard + weight * soft, 0.0)
        return mixed.sum() / count, count

    return loss
