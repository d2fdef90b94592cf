"""The catalogue: the case families, one small file each, in the order of the files' names."""

from conformance.catalogue import (
    epsilon,
    offset_ladder,
    tiny_batches,
    typical,
    zero_variance,
)

FAMILIES = tuple(
    module.FAMILY for module in (epsilon, offset_ladder, tiny_batches, typical, zero_variance)
)
