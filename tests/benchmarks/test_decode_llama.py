"""The model that is recorded on a real GPU, tiny and on the CPU; skipped where torch is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not among the test tools")
pytest.importorskip("transformers", reason="transformers is not among the test tools")

from benchmarks.decode.llama import LlamaDecoder  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402


class Calls(TorchDispatchMode):  # type: ignore[misc]
    """Notes the operators that are called inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self,
        operator: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.names.append(str(operator))
        return operator(*args, **(kwargs or {}))


def test_sequences_are_begun_and_go_on_until_they_are_long_enough() -> None:
    decoder = LlamaDecoder("tiny", prompt_tokens=8, new_tokens=4, device="cpu")
    with pytest.raises(RuntimeError, match="begin"):
        decoder.step()
    for batch in (3, 1):
        decoder.begin(batch)
        begun, further = (8 * batch, batch), (0, batch)
        assert [decoder.step() for _ in range(6)] == [begun, *[further] * 3, begun, further]


def test_a_step_never_waits_for_the_host() -> None:
    """What reads a value back cannot be captured as a CUDA graph."""
    decoder = LlamaDecoder("tiny", prompt_tokens=8, new_tokens=16, device="cpu")
    decoder.begin(2)
    decoder.step()
    with Calls() as seen:
        decoder.step()
    assert any("scaled_dot_product" in name for name in seen.names)
    assert not [n for n in seen.names if "local_scalar" in n or "nonzero" in n or ".item" in n]


def test_tokens_are_those_of_the_whole_sequence_at_once() -> None:
    """Step by step with a cache gives what the model says of the whole text."""
    decoder = LlamaDecoder("tiny", prompt_tokens=8, new_tokens=8, device="cpu")
    decoder.begin(2)
    prompts: list[Any] = []
    draw = torch.randint

    def noted(*args: Any, **kwargs: Any) -> Any:
        prompts.append(draw(*args, **kwargs))
        return prompts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", noted)
        decoder.step()
    text = torch.cat([prompts[0], decoder.last_tokens()], dim=1)
    for _ in range(6):
        with torch.inference_mode():
            want = decoder.model(text).logits[:, -1].float()
        decoder.step()
        got = decoder.last_tokens()
        best = want.max(-1).values
        assert torch.allclose(want.gather(1, got)[:, 0], best, atol=0.02)
        text = torch.cat([text, got], dim=1)
