"""The catalogue: the case families, one small file each, in the order of the files' names."""

from importlib import import_module

_NAMES = """
affine
calls
channels
conventions
dense
dtypes
empty
epsilon
exact
gradients
inference
invariance
large_batch
layouts
near_zero_variance
nonfinite
offset_ladder
reject
running_statistics
scale_ladder
tiny_batches
typical
zero_variance
"""

FAMILIES = tuple(import_module(f"{__name__}.{name}").FAMILY for name in _NAMES.split())
