"""PyTorch's modules: torch.nn.BatchNorm1d, 2d and 3d, and their cumulative average."""

from __future__ import annotations

from typing import Any

from conformance.implementations.base import Conventions, Unsupported
from conformance.implementations.torch import TorchFunction


class TorchModule(TorchFunction):
    """A new module for each call, with all that is given loaded into its state."""

    module: str

    def _module(self, tensors: dict[str, Any], **how: Any) -> Any:
        first = next(iter(tensors.values()))
        make = getattr(self.torch.nn, self.module)
        module = make(len(first), dtype=first.dtype, device=self.device, **how)
        module.load_state_dict(tensors, strict=False)
        return module

    def _batch_norm(
        self,
        x: Any,
        mean: Any,
        var: Any,
        gamma: Any = None,
        beta: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Any:
        return self._made(mean, var, gamma, beta, training, eps)(x)

    def _made(
        self, mean: Any, var: Any, gamma: Any, beta: Any, training: bool, epsilon: float
    ) -> Any:
        tensors = {"weight": gamma, "bias": beta}
        if mean is not None:
            tensors |= {"running_mean": mean, "running_var": var}
        return self._module(tensors, eps=epsilon).train(training)

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        x, mean, var = self._tensors(x, mean, var)
        module = self._module(
            {"running_mean": mean, "running_var": var}, eps=epsilon, momentum=rate
        )
        module(x)
        return self._array(module.running_mean), self._array(module.running_var)

    def _gradients(self, tensors: Any, dy: Any, **how: Any) -> Any:
        x, mean, var, gamma, beta = tensors
        module = self._made(mean, var, gamma, beta, how["training"], how["eps"])
        wanted = (x.requires_grad_(), module.weight, module.bias)
        gradients = self.torch.autograd.grad(module(x), wanted, dy)
        return tuple(self._array(gradient) for gradient in gradients)

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        (x,) = self._tensors(x)
        module = getattr(self.torch.nn, self.module)(x.shape[1], device=self.device)
        if frozen:
            module.requires_grad_(False)
        for mode in modes:
            y = module.train(mode == "train")(x)
        return self._array(y), self._array(module.running_mean), self._array(module.running_var)


_CONVENTIONS = Conventions(
    epsilon=1e-5,
    momentum=0.1,
    momentum_weighs="new",
    running_variance="unbiased",
    half_output="x",
    half_statistics="float32",
    fresh="initial-statistics",
    # requires_grad_(False) freezes gamma and beta alone; the statistics of the batch go on.
    frozen="batch-statistics",
)


class BatchNorm1d(TorchModule):
    name = "torch.nn.BatchNorm1d"
    module = "BatchNorm1d"
    ranks = (2, 3)
    conventions = _CONVENTIONS


class BatchNorm2d(TorchModule):
    name = "torch.nn.BatchNorm2d"
    module = "BatchNorm2d"
    ranks = (4,)
    conventions = _CONVENTIONS


class BatchNorm3d(TorchModule):
    name = "torch.nn.BatchNorm3d"
    module = "BatchNorm3d"
    ranks = (5,)
    conventions = _CONVENTIONS


class Cumulative(TorchModule):
    """momentum=None: the k-th batch weighs 1/k, k being counted in num_batches_tracked."""

    name = "torch.nn.BatchNorm1d-cumulative"
    module = "BatchNorm1d"
    ranks = (2, 3)
    train = infer = grad = grad_infer = dense = None  # type: ignore[assignment]
    layer = None  # type: ignore[assignment]

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        batch = round(1 / rate) if rate else 0
        if not batch or 1 / batch != rate:
            raise Unsupported("a cumulative average weighs the k-th batch 1/k, and none otherwise")
        x, mean, var = self._tensors(x, mean, var)
        tracked = self.torch.tensor(batch - 1)
        state = {"running_mean": mean, "running_var": var, "num_batches_tracked": tracked}
        module = self._module(state, eps=epsilon, momentum=None)
        module(x)
        return self._array(module.running_mean), self._array(module.running_var)
