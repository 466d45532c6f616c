"""Callbacks for training frameworks, with what those frameworks call."""

import sys
import types

import pytest

from tokenergy_collectors.report import SOCKET_VARIABLE


class State:
    def __init__(self, seen):
        self.num_input_tokens_seen = seen


def module(monkeypatch, name, **contents):
    """Put a module in the place of a framework, which the tests do not install."""
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:n]), types.ModuleType(parts[n - 1]))
    vars(sys.modules[name]).update(contents)


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch, tmp_path):
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "none.sock"))
    for framework in ("huggingface", "lightning"):
        monkeypatch.delitem(sys.modules, f"tokenergy_collectors.report.{framework}", raising=False)


@pytest.fixture
def huggingface(monkeypatch):
    module(monkeypatch, "transformers", TrainerCallback=object)
    from tokenergy_collectors.report import huggingface

    return huggingface


def test_a_run_that_goes_on_from_a_checkpoint_counts_its_own_tokens(huggingface):
    callback = huggingface.TokenCallback("ft", rank=0)
    callback.on_train_begin(None, State(10_000), None)
    for seen in (10_100, 10_200, 10_350):
        callback.on_step_end(None, State(seen), None)
    # A fall is a state that was loaded: what it had counted is not counted again.
    for seen in (10_200, 10_300):
        callback.on_step_end(None, State(seen), None)
    callback.on_train_end(None, State(10_300), None)
    assert callback._tokens.total == 450


def test_a_trainer_that_counts_nothing_says_what_to_set(huggingface):
    callback = huggingface.TokenCallback("ft")
    callback.on_train_begin(None, State(0), None)
    for _ in range(2):
        callback.on_step_end(None, State(0), None)
    with pytest.warns(UserWarning, match="set include_num_input_tokens_seen"):
        callback.on_step_end(None, State(0), None)
    callback.on_step_end(None, State(0), None)


class Tensor(list):
    def sum(self):
        return sum(map(sum, self))

    def numel(self):
        return sum(map(len, self))


def test_batches_of_lightning(monkeypatch):
    module(monkeypatch, "lightning.pytorch.callbacks", Callback=object)
    from tokenergy_collectors.report import lightning

    padded = {"input_ids": Tensor([[1, 2, 3]]), "attention_mask": Tensor([[1, 1, 0]])}
    callback = lightning.TokenCallback("ft")
    for batch in (padded, {"input_ids": Tensor([[1, 2, 3], [4, 5, 6]])}):
        callback.on_train_batch_end(None, None, None, batch, 0)
    callback.on_train_end(None, None)
    assert callback._tokens.total == 2 + 6
    with pytest.raises(TypeError, match="give count=FUNCTION"):
        callback.on_train_batch_end(None, None, None, [1, 2], 0)
    own = lightning.TokenCallback("ft", count=len)
    own.on_train_batch_end(None, None, None, [1, 2], 0)
    assert own._tokens.total == 2
