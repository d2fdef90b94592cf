"""The steps of a recipe, from the facts of both layers; and what a target is handed without some of them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.recipes.layer import LONG_AGO, Layer, State

EPSILON, MOMENTUM, NAMES, LAYOUT = "epsilon", "momentum", "names", "layout"
DTYPE, COUNT, VARIANCE = "dtype", "count", "running variance"
STEPS = (EPSILON, MOMENTUM, NAMES, LAYOUT, DTYPE, COUNT, VARIANCE)
FLAG = "training or not"
"""A step of every recipe, that the naive way takes too: the target is told whether it trains."""
SCALED = "scaled"
"""Instead of the step for the running variance: its scale is changed once, and changed back at the end."""


@dataclass(frozen=True)
class Handed:
    """What the target is handed, and how it is run.

    axis: where its layer takes the channels of x to be; lies: where they are.
    told: whether it is told that it trains, or does not.
    weighs: whether a count of batches, where there is one, makes for what the next batch weighs.
    factor: what the variance of each batch is multiplied by in the running variance, afterwards.
    scale: what the running variance is multiplied by inside the target, and divided by outside.
    """

    state: State
    dtype: str
    axis: int
    lies: int
    told: bool = True
    weighs: bool = True
    factor: float = 1.0
    scale: float = 1.0


def steps(source: Layer, target: Layer, rank: int, dtype: str) -> tuple[str, ...]:
    """Those that this pair needs on data of this rank and dtype; each changes something if left out."""
    needed = {
        EPSILON: True,
        MOMENTUM: source.conventions.momentum_weighs != target.conventions.momentum_weighs,
        NAMES: list(source.names) != list(target.names),
        LAYOUT: rank > 2 and source.channel_axis != target.channel_axis,
        DTYPE: dtype != "float32",
        COUNT: source.counts or target.counts,
        VARIANCE: source.is_unbiased != target.is_unbiased,
    }
    return tuple(step for step in STEPS if needed[step])


def hand_over(
    state: State,
    source: Layer,
    target: Layer,
    shape: tuple[int, ...],
    left_out: Set[str] = frozenset(),
) -> Handed:
    """What the target is handed by the recipe without the steps that are left out.

    state: what the source holds. shape: that of x, channels last.
    """
    rank, dtype = len(shape), state.gamma.dtype.name
    handed = Handed(state, dtype, target.channel_axis, target.channel_axis)
    if LAYOUT in left_out:
        handed = replace(handed, lies=source.channel_axis)
    elif target.axis and rank > 2:
        handed = replace(handed, axis=source.channel_axis, lies=source.channel_axis)
    if DTYPE in left_out:
        handed = replace(handed, dtype="float32")
    if FLAG in left_out:
        handed = replace(handed, told=False)
    if EPSILON in left_out:
        state = replace(state, epsilon=target.conventions.epsilon)
    if MOMENTUM in left_out:
        state = replace(state, rate=target.momentum_of(source.momentum_of(state.rate)))
    if NAMES in left_out:
        by_place = zip(source.names, target.names, strict=True)
        state = state.with_arrays({mine: getattr(state, its) for its, mine in by_place})
    if COUNT in left_out:
        state = replace(state, batches=0 if target.counts else None)
        handed = replace(handed, weighs=False)
    if source.is_unbiased != target.is_unbiased:
        values = int(np.prod(shape[:-1]))
        to_unbiased = values / (values - 1)
        factor = to_unbiased if source.is_unbiased else 1 / to_unbiased
        if SCALED in left_out:
            handed = replace(handed, scale=1 / factor)
        elif VARIANCE not in left_out:
            handed = replace(handed, factor=factor)
    return replace(handed, state=state)


def correct(old: Any, new: Any, rate: float, factor: float) -> Any:
    """The running variance after a step, had the variance of the batch been `factor` times as large.

    old and new are those before and after the step; rate is the weight of the new batch.
    """
    kept = (1 - rate) * old
    return kept + factor * (new - kept)


def own_terms(state: State, target: Layer, weighs: bool) -> State:
    """The state as the target takes it: with a count of batches, or with what the next batch weighs."""
    if target.counts:
        return state if state.batches is not None else replace(state, batches=LONG_AGO)
    return state.weighted() if weighs else replace(state, batches=None)
