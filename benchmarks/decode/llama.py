"""A model of Llama's architecture with random weights, decoding greedily on one CUDA device.

In: a shape, batch sizes. Out: a `Decoder` whose every step has been computed when it returns. What
a step costs in energy depends on the shapes, hardly on the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers

SHAPES: dict[str, dict[str, int]] = {
    "8b": {
        "vocab_size": 128_256,
        "hidden_size": 4_096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "1b": {
        "vocab_size": 128_256,
        "hidden_size": 2_048,
        "intermediate_size": 8_192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
"""The first two have the shapes of Llama 3.1 8B and Llama 3.2 1B."""

_WARM_STEPS = 3


@dataclass
class _Running:
    """Sequences of one batch size: the cache, the last tokens, and the step as a CUDA graph."""

    batch: int
    cache: Any
    last: torch.Tensor
    graph: torch.cuda.CUDAGraph | None = None


class LlamaDecoder:
    """Decodes with random weights.

    Args:
        shape: one of `SHAPES`.
        prompt_tokens: length of each prompt.
        new_tokens: tokens generated for each, the first by its prompt's own pass.
        eager: launch every kernel of a step by itself, and not a CUDA graph of the step.
        device: where; "cpu" is for trying the program out.

    Attributes:
        about: what the model is and how it runs.
        model: the model.
        device_id: UUID of the GPU as NVML writes it; None on a CPU.
    """

    def __init__(
        self,
        shape: str,
        prompt_tokens: int = 128,
        new_tokens: int = 512,
        *,
        eager: bool = False,
        device: str = "cuda",
    ) -> None:
        self._prompt_tokens, self._new_tokens = prompt_tokens, new_tokens
        self._eager = eager or device == "cpu"
        self._device = torch.device(device)
        self._made = 0
        self._now: _Running | None = None
        config = transformers.LlamaConfig(**SHAPES[shape], attn_implementation="sdpa")
        self._vocabulary = config.vocab_size
        before = torch.get_default_dtype()
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        try:
            with self._device:
                self.model = transformers.LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(before)
        self.device_id: str | None = None
        self.about: dict[str, object] = {
            "shape": {"name": f"llama-{shape}", **SHAPES[shape]},
            "parameters": sum(weights.numel() for weights in self.model.parameters()),
            "dtype": "bfloat16",
            "weights": "random",
            "prompt_tokens": prompt_tokens,
            "new_tokens": new_tokens,
            "step": "kernel by kernel" if self._eager else "CUDA graph",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        if self._device.type == "cuda":
            properties = torch.cuda.get_device_properties(self._device)
            self.device_id = f"GPU-{properties.uuid}"
            self.about |= {"gpu": properties.name, "cuda": torch.version.cuda}

    @torch.inference_mode()
    def begin(self, batch: int) -> None:
        """Take memory for a batch size and warm up, so that nothing but decoding is left to do."""
        self._now = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        longest = self._prompt_tokens + self._new_tokens
        cache = transformers.StaticCache(self.model.config, max_cache_len=longest)
        last = torch.zeros((batch, 1), dtype=torch.long, device=self._device)
        self._now = _Running(batch, cache, last)
        self._prefill(self._now)
        for _ in range(_WARM_STEPS):
            self.step()
        if not self._eager:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):  # captured, not run
                self._forward(self._now)
            self._now.graph = graph
        self._made = self._new_tokens

    @torch.inference_mode()
    def step(self) -> tuple[int, int]:
        """Generate a token for each sequence, or begin new ones where they are long enough.

        Returns:
            The prompt tokens computed, and the tokens generated.
        """
        if self._now is None:
            raise RuntimeError("begin() comes first")
        if self._made >= self._new_tokens:
            return self._prefill(self._now)
        if self._now.graph is None:
            self._forward(self._now)
        else:
            self._now.graph.replay()
        self._made += 1
        self._wait()
        return 0, self._now.batch

    def last_tokens(self) -> torch.Tensor:
        """Return the newest token of each sequence, int64[batch, 1]."""
        if self._now is None:
            raise RuntimeError("begin() comes first")
        return self._now.last.clone()

    def _prefill(self, now: _Running) -> tuple[int, int]:
        now.cache.reset()
        size = (now.batch, self._prompt_tokens)
        prompt = torch.randint(self._vocabulary, size, device=self._device)
        found = self.model(prompt, past_key_values=now.cache, logits_to_keep=1)
        now.last.copy_(found.logits[:, -1].argmax(-1, keepdim=True))
        self._made = 1
        self._wait()
        return now.batch * self._prompt_tokens, now.batch

    def _forward(self, now: _Running) -> None:
        found = self.model(now.last, past_key_values=now.cache, logits_to_keep=1)
        now.last.copy_(found.logits[:, -1].argmax(-1, keepdim=True))

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
