"""A callback for Hugging Face's Trainer that reports the tokens it trains on.

In: the trainer's state after each step. Out: reports of `Tokens`. The trainer counts tokens only if
its arguments have `include_num_input_tokens_seen` ("non_padding", or "all" with the padding). Its
count is that of all ranks, and goes on from a checkpoint: reported is what this run adds to it.

    trainer.add_callback(TokenCallback("ft-7b", model="llama-7b"))
"""

from __future__ import annotations

from typing import Any
from warnings import warn

from transformers import TrainerCallback

from tokenergy_collectors.report import Tokens

_STEPS = 3
_NO_COUNT = "the trainer counts no tokens: set include_num_input_tokens_seen in its arguments"


class TokenCallback(TrainerCallback):
    """Reports the trainer's tokens; the process of rank 0 does so for the whole job.

    Args:
        job, more: as for `Tokens`.
    """

    def __init__(self, job: str | None = None, **more: Any) -> None:
        self._tokens = Tokens(job, scope="job", **more)
        self._seen: int | None = None
        self._steps = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note where the trainer's count stands: a checkpoint's tokens are not of this run."""
        self._seen = int(state.num_input_tokens_seen)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count what a step added."""
        seen = int(state.num_input_tokens_seen)
        self._tokens.add(max(0, seen - (seen if self._seen is None else self._seen)))
        self._seen = seen
        self._steps += 1
        if self._steps == _STEPS and not self._tokens.total:
            warn(_NO_COUNT, stacklevel=2)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the last count."""
        self._tokens.close()
