"""What libraries do where nothing is said, from what their implementations here declare."""

from __future__ import annotations

from functools import cache

from conformance.implementations import registry
from conformance.implementations.base import Conventions

LIBRARIES = {
    "torch": "PyTorch",
    "keras": "Keras",
    "flax": "Flax",
    "haiku": "Haiku",
    "equinox": "Equinox",
    "paddle": "PaddlePaddle",
    "mlx": "MLX",
    "tinygrad": "tinygrad",
}
_OTHERS = {
    1.001e-5: "Keras's ResNets and DenseNets",
    1e-3: "TensorFlow's fused_batch_norm",
}
_TRIED = (1e-5, 1e-3, 1e-6, 1e-4, 1e-8, 1e-12, 1.001e-5, 1e-2, 0.0)


@cache
def conventions() -> dict[str, Conventions]:
    """The declared conventions by library. No framework is imported."""
    found: dict[str, Conventions] = {}
    for implementation in registry.built_in().values():
        library = LIBRARIES.get(implementation.framework)
        if library and implementation.conventions is not None:
            found.setdefault(library, implementation.conventions)
    return found


def epsilons() -> tuple[float, ...]:
    """The defaults of libraries, the commonest first, and others that are met with."""
    declared = [c.epsilon for c in conventions().values()]
    ordered = sorted(set(declared), key=lambda e: -declared.count(e))
    return tuple(dict.fromkeys((*ordered, *_TRIED)))


def rates() -> tuple[float, ...]:
    """Default weights of the new batch, the commonest first."""
    declared = [c.rate for c in conventions().values() if c.momentum is not None]
    declared = [round(rate, 12) for rate in declared]
    ordered = sorted(set(declared), key=lambda r: -declared.count(r))
    return tuple(dict.fromkeys((*ordered, 0.001, 0.01, 0.05, 0.1, 0.5)))


def whose_epsilon(epsilon: float) -> str:
    """The libraries that have it for a default, as text; empty for none."""
    names = [name for name, c in conventions().items() if c.epsilon == epsilon]
    return ", ".join(names) or _OTHERS.get(epsilon, "")
