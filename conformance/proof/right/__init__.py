"""Correct kernels that differ in how they sum, in the order of their operations, and in what they return.

Each computes in the dtype of the case, halves in float32, unless it says otherwise. `RIGHT` holds one class of each.
"""

from __future__ import annotations

from typing import Any

from conformance.proof.known import Known
from conformance.proof.right import kinds, layer, moments, normalizations, sums
from conformance.proof.right.kernel import Kernel


def _right(name: str, **steps: Any) -> type[Known]:
    if "total" in steps:
        steps["total"] = staticmethod(steps["total"])
    return type(name, (Kernel,), {"name": f"right-{name}", **steps})


_EMPTY = frozenset({"empty-batch"})

RIGHT: tuple[type[Known], ...] = (
    _right("sequential", total=sums.sequential, largest=2**18),
    _right("sequential-channels-first", total=sums.sequential, channel_axis=1),
    _right("backwards", total=sums.backwards, channel_axis=1),
    _right("scattered", total=sums.scattered),
    _right("ascending", total=sums.ascending),
    _right("pairwise", total=sums.pairwise, largest=2**18),
    _right("lanes-4", total=sums.lanes(4)),
    _right("lanes-8", total=sums.lanes(8), channel_axis=1, largest=2**18),
    _right("lanes-16", total=sums.lanes(16)),
    _right("lanes-32", total=sums.lanes(32), channel_axis=1),
    _right("blocks-16", total=sums.blocks(16)),
    _right("blocks-128", total=sums.blocks(128), channel_axis=1),
    _right("butterfly", total=sums.butterfly, declines=_EMPTY),
    _right("kahan", total=sums.kahan),
    _right("neumaier", total=sums.neumaier, channel_axis=1),
    _right("fsum", total=sums.correctly_rounded),
    _right("add-reduce", statistics_too=False, largest=2**25),
    _right("numpy-mean-var", moments=moments.from_numpy, channel_axis=1, largest=2**25),
    _right("welford", moments=moments.welford, declines=_EMPTY),
    _right("welford-lanes", moments=moments.welford_in_lanes, channel_axis=1, declines=_EMPTY),
    _right("chan", moments=moments.chan, declines=_EMPTY),
    _right("shifted", moments=moments.shifted, declines=_EMPTY),
    _right(
        "shifted-sequential",
        moments=moments.shifted,
        total=sums.sequential,
        channel_axis=1,
        declines=_EMPTY,
    ),
    _right("shifted-backwards", moments=moments.shifted, total=sums.backwards, declines=_EMPTY),
    _right("corrected", moments=moments.corrected),
    _right("corrected-sequential", moments=moments.corrected, total=sums.sequential),
    _right("reciprocal-count", moments=moments.by_reciprocal_count, channel_axis=1),
    _right("shares", moments=moments.shares),
    _right("means-of-means", moments=moments.means_of_means, declines=_EMPTY),
    _right("fused", moments=moments.fused_moments, normalize=normalizations.fused, channel_axis=1),
    _right("inverse", normalize=normalizations.by_inverse, statistics_too=False),
    _right("root-of-inverse", normalize=normalizations.by_root_of_inverse, channel_axis=1),
    _right("power", normalize=normalizations.by_power),
    _right("inverse-2-ulp-up", normalize=normalizations.nudged(2)),
    _right("inverse-2-ulp-down", normalize=normalizations.nudged(-2), total=sums.sequential),
    _right("factor", normalize=normalizations.by_factor, channel_axis=1, statistics_too=False),
    _right("quotient", normalize=normalizations.by_quotient),
    _right("standardized-first", normalize=normalizations.standardized_first, total=sums.pairwise),
    _right("folded-in-training", normalize_batch=normalizations.folded),
    _right("read-only", outside=kinds.read_only, channel_axis=1),
    _right("strided", outside=kinds.strided),
    _right("fortran", outside=kinds.fortran, channel_axis=1),
    kinds.Float64Inside,
    kinds.LongDoubleInside,
    kinds.FlushToZero,
    kinds.RefusesOneValue,
    kinds.NanForOneValue,
    kinds.RefusesEpsilonZero,
    kinds.InferOnly,
    kinds.PlainFunction,
    layer.KerasLike,
    layer.TorchLike,
    layer.FreshByBatch,
)
