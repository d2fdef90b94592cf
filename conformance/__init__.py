"""A cross-framework conformance test suite for batch normalization."""

from typing import TYPE_CHECKING, Any

from conformance.implementations.base import Implementation, Unsupported

if TYPE_CHECKING:
    from conformance.explanation import assert_batch_norm, explain

__version__ = "0.1.0"
__all__ = ["Implementation", "Unsupported", "__version__", "assert_batch_norm", "explain"]

_LATE = ("assert_batch_norm", "explain")


def __getattr__(name: str) -> Any:
    """`import conformance` imports no more than an implementation needs."""
    if name in _LATE:
        from conformance import explanation

        return getattr(explanation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
