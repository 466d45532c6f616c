"""Trains with Lightning's Trainer. `lightning_loop.py FOLDER JOB EVERY_S KILL_AT`.

With KILL_AT it is killed before that step; without (0) it goes on from the last checkpoint.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader

from data import Book, collate, killed, model, texts
from tokenergy_collectors.report.lightning import TokenCallback

STEPS, SAVE_EVERY, STEP_S = 40, 10, 0.05


class Killed(Callback):
    """Ends the process before a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, number: int) -> None:
        time.sleep(STEP_S)
        if trainer.global_step == self._step > 0:
            killed()


class Module(LightningModule):
    """The tiny model; it notes each batch where it is trained on."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.model = model()
        self._book = book

    def training_step(self, batch: Any, number: int) -> Any:
        loss = self.model(**batch).loss
        self._book.note(batch)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def main(folder: Path, job: str, every_s: float, kill_at: int) -> None:
    out = folder / job
    saved = ModelCheckpoint(
        out, save_last=True, every_n_train_steps=SAVE_EVERY, save_on_train_epoch_end=False
    )
    trainer = Trainer(
        max_steps=STEPS, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=out,
        callbacks=[TokenCallback(job, model="tiny", every_s=every_s), Killed(kill_at), saved],
    )  # fmt: skip
    last = out / "last.ckpt"
    batches = DataLoader(texts(), batch_size=4, collate_fn=collate)
    trainer.fit(
        Module(Book(folder / f"{job}.book")),
        batches,
        ckpt_path=str(last) if last.exists() else None,
    )
    print(trainer.global_step)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
