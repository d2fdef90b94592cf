"""PyTorch's transformations of torch.nn.functional.batch_norm: torch.compile, torch.func and autocast."""

from __future__ import annotations

from typing import Any

from conformance.implementations.base import Unsupported
from conformance.implementations.torch import FunctionalBatchNorm, TorchFunction

_AUTOCAST = "https://docs.pytorch.org/docs/stable/amp.html#autocast-op-reference"


class Compiled(TorchFunction):
    """Compiled by Inductor: C++ on the CPU, Triton on CUDA, for shapes that are not known beforehand.

    Epsilon and the rate are Python numbers, and each is compiled for anew: some 260 graphs for all
    cases, and ten minutes of one core the first time. Inductor keeps them in TORCHINDUCTOR_CACHE_DIR.
    """

    name = "torch.compile"
    process = "torch.compile"

    def start(self) -> None:
        super().start()
        torch = self.torch
        # A graph that cannot be compiled, or one too many, is an error: eager mode is no answer.
        torch._dynamo.config.recompile_limit = 10_000
        torch._dynamo.config.accumulated_recompile_limit = 10_000
        torch._dynamo.config.fail_on_recompile_limit_hit = True
        batch_norm, activations = torch.nn.functional.batch_norm, self.activations

        def dense(x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
            y = batch_norm(x @ w, None, None, gamma, beta, training=True, eps=epsilon)
            return activations[activation](y)

        self._batch_norm = self._compiled(batch_norm)  # type: ignore[method-assign]
        self.compiled_dense = self._compiled(dense)
        rows = torch.ones((4, 2), device=self.device)
        self._batch_norm(rows, rows[0], rows[1])  # the first takes far longer than any other

    def _compiled(self, function: Any) -> Any:
        return self.torch.compile(function, dynamic=True, fullgraph=True)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        tensors = self._tensors(x, w, gamma, beta)
        return self._array(self.compiled_dense(*tensors, epsilon, activation))


class Functional(FunctionalBatchNorm):
    """Everything through torch.func.vjp, and the gradients are its own."""

    name = "torch.func.vjp"

    def _vjp(self, x: Any, mean: Any, var: Any, *parameters: Any, **how: Any) -> Any:
        def forward(x: Any, *parameters: Any) -> Any:
            return super(Functional, self)._batch_norm(x, mean, var, *parameters, **how)

        return self.torch.func.vjp(forward, x, *parameters)

    def _batch_norm(self, *tensors: Any, **how: Any) -> Any:
        return self._vjp(*tensors, **how)[0]

    def _gradients(self, tensors: Any, dy: Any, **how: Any) -> Any:
        return tuple(self._array(gradient) for gradient in self._vjp(*tensors, **how)[1](dy))


class Autocast(FunctionalBatchNorm):
    """Under torch.autocast to the half precision of x, or to bfloat16 where x has another."""

    name = "torch.nn.functional.batch_norm-autocast"

    def _autocast(self, x: Any) -> Any:
        half = x.dtype if x.dtype.itemsize == 2 else self.torch.bfloat16
        return self.torch.autocast(self.device, dtype=half)

    def _batch_norm(self, x: Any, *others: Any, **how: Any) -> Any:
        with self._autocast(x):
            return super()._batch_norm(x, *others, **how)

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        if x.dtype == "float32":
            raise Unsupported("a product of float32 is in half precision by design", _AUTOCAST)
        x, w, gamma, beta = self._tensors(x, w, gamma, beta)
        with self._autocast(x):
            y = self._batch_norm(x @ w, None, None, gamma, beta, training=True, eps=epsilon)
            return self._array(self.activations[activation](y))
