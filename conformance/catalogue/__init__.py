"""The catalogue: the case families, one small file each, in the order of the files' names."""

from conformance.catalogue import (
    affine,
    calls,
    channels,
    dense,
    dtypes,
    empty,
    epsilon,
    exact,
    gradients,
    inference,
    invariance,
    large_batch,
    layouts,
    near_zero_variance,
    nonfinite,
    offset_ladder,
    reject,
    running_statistics,
    scale_ladder,
    tiny_batches,
    typical,
    zero_variance,
)

FAMILIES = tuple(
    module.FAMILY
    for module in (
        affine,
        calls,
        channels,
        dense,
        dtypes,
        empty,
        epsilon,
        exact,
        gradients,
        inference,
        invariance,
        large_batch,
        layouts,
        near_zero_variance,
        nonfinite,
        offset_ladder,
        reject,
        running_statistics,
        scale_ladder,
        tiny_batches,
        typical,
        zero_variance,
    )
)
