"""The processes that train together, one a computer, and what they tell each other.

Every process of a team makes the same calls in the same order, as a collective waits for all. They
run on the CPU and are evaluated at once: one that waits inside the GPU's work is killed by macOS
after five seconds.
"""

from typing import Any, NoReturn

import mlx.core as mx
import msgspec
import numpy as np

from secdaemon.pipeline.interface import PermanentError, PipelineError, TransientError
from secdaemon.pipeline.training.feed import WHOLE, Share
from secdaemon.pipeline.training.memory import Preflight


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Who is there: the computer's name and the versions of what decides the bytes."""

    host: str
    versions: dict[str, str]


class Wants(msgspec.Struct, frozen=True, tag=True):
    """What is to be trained, and the content of the base model found for it."""

    fingerprint: str
    base: str


class Fits(msgspec.Struct, frozen=True, tag=True):
    """What a process found out about its memory."""

    preflight: Preflight


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Everything stands where the training begins."""


class Trouble(msgspec.Struct, frozen=True, tag=True):
    """A process cannot go on; the sentence says why."""

    reason: str
    transient: bool


Word = Hello | Wants | Fits | Ready | Trouble


class Team:
    """This process's place among those that train together; alone, it waits for nobody."""

    def __init__(self, share: Share = WHOLE) -> None:
        """Take this process's share of every batch; MLX's group is of that rank and size."""
        self.share = share
        self._hosts: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.share.of == 1

    def exchange(self, word: Word) -> tuple[Word, ...]:
        """Return what every process says, by rank.

        Raises:
            PermanentError: one of them is in trouble; the sentence names it.
            TransientError: so is one, but it may work again later.
        """
        if self.alone:
            return (word,)
        found: list[Word] = [
            msgspec.json.decode(data, type=Word) for data in self._gather(msgspec.json.encode(word))
        ]
        for rank, said in enumerate(found):
            if isinstance(said, Trouble):
                self._refuse(rank, said)
            if isinstance(said, Hello):
                self._hosts = (*self._hosts, said.host)
        return tuple(found)

    def _refuse(self, rank: int, trouble: Trouble) -> NoReturn:
        kind = TransientError if trouble.transient else PermanentError
        msg = f"{self.name(rank)}: {trouble.reason}"
        raise kind(msg)

    def name(self, rank: int) -> str:
        """Return what a message calls a process."""
        return f"{self._hosts[rank]} (rank {rank} of training.hostfile)"

    def complain(self, error: PipelineError | OSError) -> None:
        """Say instead of the next word that this process cannot go on."""
        transient = not isinstance(error, PermanentError)
        try:
            self.exchange(Trouble(str(error), transient))
        except PipelineError:
            return

    def agree(self, found: Preflight) -> Preflight:
        """Return what fits into the memory of all: the shortest cap, checkpointing if one needs it.

        The other numbers are those of the process that has the least room.
        """
        everyone = [said.preflight for said in self.exchange(Fits(found)) if isinstance(said, Fits)]
        tightest = min(everyone, key=lambda one: one.budget_bytes - one.peak_bytes)
        return msgspec.structs.replace(
            tightest,
            max_seq_length=min(one.max_seq_length for one in everyone),
            grad_checkpoint=any(one.grad_checkpoint for one in everyone),
        )

    def begin(self, seed: int, position: int) -> None:
        """Return once all processes are at a batch, each with a random state of its own for it.

        Only the first one's state is in a checkpoint; the others' follow from the position.
        """
        self.meet()
        if self.share.rank:
            drawn = np.random.SeedSequence([seed, self.share.rank, position])
            mx.random.seed(int(drawn.generate_state(1, np.uint64)[0]))

    def meet(self) -> None:
        """Return once all processes are here."""
        mx.eval(mx.distributed.all_sum(mx.array(0), stream=mx.cpu))

    def from_first(self, data: bytes) -> bytes:
        """Return the first process's data; what the others pass does not count."""
        if self.alone:
            return data
        own = data if self.share.rank == 0 else b""
        total: Any = mx.distributed.all_sum(mx.array(len(own), mx.int64), stream=mx.cpu)
        sent = np.zeros(total.item(), np.uint8)
        sent[: len(own)] = np.frombuffer(own, np.uint8)
        received = mx.distributed.all_sum(mx.array(sent), stream=mx.cpu)
        return np.asarray(received).tobytes()

    def _gather(self, data: bytes) -> list[bytes]:
        """Return every process's data, by rank."""
        sizes: Any = mx.distributed.all_gather(mx.array([len(data)]), stream=mx.cpu)
        sizes = sizes.tolist()
        sent = np.zeros(max(sizes), np.uint8)
        sent[: len(data)] = np.frombuffer(data, np.uint8)
        rows: Any = mx.distributed.all_gather(mx.array(sent), stream=mx.cpu)
        received = np.asarray(rows).reshape(len(sizes), -1)
        return [row[:size].tobytes() for row, size in zip(received, sizes, strict=True)]


ALONE = Team()
