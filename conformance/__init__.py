"""A cross-framework conformance test suite for batch normalization."""

from conformance.implementations.base import Implementation, Unsupported

__version__ = "0.1.0"
__all__ = ["Implementation", "Unsupported", "__version__"]
