"""A tiny model, texts of many lengths, and a book of what was really trained on.

In: nothing. Out: what both loops train. The book is written where the model computes, and knows
nothing of the callbacks: one line for each batch, on the disk before the next one.
"""

import os
import signal
from pathlib import Path
from random import Random

import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY = 64
PADDING = 0


def model() -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
            pad_token_id=PADDING,
        )
    )  # fmt: skip


def texts(count: int = 400) -> list[list[int]]:
    """Return texts of 3 to 40 words."""
    random = Random(5)
    return [
        [random.randrange(1, VOCABULARY) for _ in range(random.randrange(3, 41))]
        for _ in range(count)
    ]


def collate(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    """Pad texts to the longest of their batch."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PADDING] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


class Book:
    """Notes each batch that a model trained on: its words, and its words with the padding."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def note(self, batch: dict[str, torch.Tensor]) -> None:
        self._file.write(f"{int(batch['attention_mask'].sum())} {batch['input_ids'].numel()}\n")
        self._file.flush()


def killed() -> None:
    """End as if the machine had ended this process."""
    os.kill(os.getpid(), signal.SIGKILL)
