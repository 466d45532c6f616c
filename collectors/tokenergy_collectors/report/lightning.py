"""A callback for Lightning that reports the tokens of each batch.

In: batches. Out: reports of `Tokens`, each rank its own.

    trainer = Trainer(callbacks=[TokenCallback("ft-7b", model="llama-7b")])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.callbacks import Callback

from tokenergy_collectors.report import Tokens


def tokens_of(batch: Any) -> int:
    """Return the tokens of a batch as tokenizers make it: those that `attention_mask` does not
    mask, or else all of `input_ids`.

    Raises:
        TypeError: it is no such batch: give `TokenCallback` a function that counts yours.
    """
    if hasattr(batch, "keys"):
        if "attention_mask" in batch:
            return int(batch["attention_mask"].sum())
        if "input_ids" in batch:
            return int(batch["input_ids"].numel())
    raise TypeError("a batch without attention_mask and input_ids: give count=FUNCTION")


class TokenCallback(Callback):
    """Reports the tokens of each batch that was trained on.

    Args:
        job, more: as for `Tokens`.
        count: returns the tokens of a batch.
    """

    def __init__(
        self, job: str | None = None, count: Callable[[Any], int] = tokens_of, **more: Any
    ) -> None:
        self._count = count
        self._tokens = Tokens(job, **more)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch."""
        self._tokens.add(self._count(batch))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the last count."""
        self._tokens.close()
