"""Trains with Hugging Face's Trainer. `huggingface_loop.py FOLDER JOB COUNT EVERY_S KILL_AT`.

With KILL_AT it is killed before that step; without (0) it goes on from the last checkpoint.
"""

import sys
import time
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from data import Book, collate, killed, model, texts
from tokenergy_collectors.report.huggingface import TokenCallback

STEPS, SAVE_EVERY, STEP_S = 40, 10, 0.05


class Killed(TrainerCallback):
    """Ends the process before a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        time.sleep(STEP_S)
        if state.global_step == self._step > 0:
            killed()


class Noted(Trainer):
    """A trainer that notes each batch where it is trained on."""

    book: Book

    def training_step(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        loss = super().training_step(model, inputs, *more, **named)
        self.book.note(inputs)
        return loss


def main(folder: Path, job: str, count: str, every_s: float, kill_at: int) -> None:
    out = folder / job
    arguments = TrainingArguments(
        output_dir=str(out), max_steps=STEPS, save_steps=SAVE_EVERY, logging_steps=SAVE_EVERY,
        per_device_train_batch_size=4, gradient_accumulation_steps=2, use_cpu=True,
        report_to=[], disable_tqdm=True, remove_unused_columns=False,
        include_num_input_tokens_seen=count,
    )  # fmt: skip
    trainer = Noted(
        model=model(), args=arguments, train_dataset=texts(), data_collator=collate
    )  # fmt: skip
    trainer.book = Book(folder / f"{job}.book")
    trainer.add_callback(TokenCallback(job, model="tiny", every_s=every_s))
    trainer.add_callback(Killed(kill_at))
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if out.exists() else None)
    print(trainer.state.global_step, trainer.state.num_input_tokens_seen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
