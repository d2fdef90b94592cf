"""A recipe in words and in code, made of the facts of its two layers."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from conformance.recipes import convert
from conformance.recipes.convert import (
    COUNT,
    DTYPE,
    EPSILON,
    FLAG,
    LAYOUT,
    MOMENTUM,
    NAMES,
    VARIANCE,
)
from conformance.recipes.layer import ROLES, Layer, State

_AXES = {1: "(N, C, H, W)", -1: "(N, H, W, C)"}


def sentences(source: Layer, target: Layer) -> Iterator[tuple[str, str]]:
    """What to set and convert, in order: the step of `convert`, or "", and its sentence."""
    yield EPSILON, _epsilon(source, target)
    yield MOMENTUM, _momentum(source, target)
    yield NAMES, _names(source, target)
    if source.channel_axis != target.channel_axis:
        yield LAYOUT, _layout(source, target)
    yield DTYPE, _dtype(source, target)
    yield (
        FLAG,
        f"**Training or not**: `{source.training}` becomes `{target.training}`, and `{source.inference}` becomes `{target.inference}`.",
    )
    if frozen := _frozen(source, target):
        yield "", frozen
    if source.counts or target.counts:
        yield COUNT, _count(source, target)
    if source.is_unbiased != target.is_unbiased:
        yield VARIANCE, _variance(source, target)
    if not target.differentiates:
        yield (
            "",
            f"**Gradients**: {target.title} offers none; an optimizer beside it has to find them.",
        )


def _epsilon(source: Layer, target: Layer) -> str:
    mine, its = target.conventions.epsilon, source.conventions.epsilon
    given = f"**Epsilon**: give the source's `{source.epsilon}` as `{target.epsilon}`"
    if mine == its:
        return f"{given}; where the source leaves it at its default, both are {mine:g}."
    return f"{given}; the defaults differ, {its:g} there and {mine:g} here."


def _momentum(source: Layer, target: Layer) -> str:
    here, there = target.conventions, source.conventions
    same = here.momentum_weighs == there.momentum_weighs
    given = f"{target.momentum} = {'' if same else '1 - '}{source.momentum}"
    if same:
        return f"**Momentum**: `{given}`; both are the weight of the {_weighed(here.momentum_weighs)}. {_defaults(source, target)}"
    return (
        f"**Momentum**: `{given}`; the source's is the weight of the {_weighed(there.momentum_weighs)}, "
        f"the target's that of the {_weighed(here.momentum_weighs)}. {_defaults(source, target)}"
    )


def _weighed(which: str) -> str:
    return "new batch" if which == "new" else "old statistics"


def _defaults(source: Layer, target: Layer) -> str:
    there, here = (layer.conventions.momentum for layer in (source, target))
    told = ["to be given" if momentum is None else f"{momentum:g}" for momentum in (there, here)]
    return f"Defaults: {told[0]} there, {told[1]} here."


def _names(source: Layer, target: Layer) -> str:
    pairs = ", ".join(f"`{source.names[role]}` → `{target.names[role]}`" for role in ROLES)
    if list(source.names) == list(target.names):
        return f"**Parameters**: {pairs}; both list them in this order."
    orders = ("`, `".join(layer.names.values()) for layer in (source, target))
    return (
        "**Parameters**: {pairs}. By name and never by place: the source lists `{0}`, the target `{1}`."
    ).format(*orders, pairs=pairs)


def _layout(source: Layer, target: Layer) -> str:
    there, here = _AXES[source.channel_axis], _AXES[target.channel_axis]
    if target.axis == "axis":
        return f"**Layout**: x stays {there} with `axis={source.channel_axis}`; the default axis is for {here}."
    if target.axis:
        return (
            f"**Layout**: x stays {there} with `{target.axis}`; the default is for {here}, and says nothing "
            "where both sizes happen to fit."
        )
    return f"**Layout**: transpose x from {there} to {here}, and y back. Nothing tells you where both sizes happen to fit."


def _dtype(source: Layer, target: Layer) -> str:
    half = ""
    here, there = target.conventions, source.conventions
    if here.half_output != there.half_output:
        named = {"x": "bfloat16", "float32": "float32"}
        half = (
            f" By default y of a bfloat16 x is {named[there.half_output]} there and "
            f"{named[here.half_output]} here: cast it."
        )
    return f"**Dtype**: float32 needs nothing. float64: {target.float64}.{half}"


def _frozen(source: Layer, target: Layer) -> str:
    there, here = source.conventions.frozen, target.conventions.frozen
    if there == "running-statistics" != here:
        return (
            "**Frozen**: the source made untrainable normalizes by its running statistics also in training: "
            "call the target as in inference."
        )
    if here == "running-statistics" != there:
        return (
            "**Frozen**: making the target untrainable would have it normalize by its running statistics; "
            "where the source trains on with fixed parameters, leave gamma and beta out of the optimizer instead."
        )
    return ""


def _count(source: Layer, target: Layer) -> str:
    if source.counts and target.counts:
        return "**Count**: take the number of batches over; both divide their averages by the weight of those."
    if target.counts:
        return (
            "**Count**: the target divides its averages by the weight of the batches it has counted. Set the count so "
            "high that the weight is 1: then the source's averages count as they are, and go on as they did there."
        )
    return (
        "**Count**: the source divides its averages by the weight of the batches so far. Take the averages after the "
        "division; and as long as its batches are few, give the target before each step the weight that the next one "
        "has there, `rate / (1 - (1 - rate)**(batches + 1))`."
    )


def _variance(source: Layer, target: Layer) -> str:
    if source.is_unbiased:
        kinds, factor, back = ("unbiased", "population"), "n / (n - 1)", "(n - 1) / n"
    else:
        kinds, factor, back = ("population", "unbiased"), "(n - 1) / n", "n / (n - 1)"
    return (
        f"**Running variance**: take it over as it is, and inference agrees. In further training the source averages the "
        f"{kinds[0]} variance of a batch and the target the {kinds[1]} one, n values per channel, and no setting changes that: "
        f"put it right after each step with `correct(..., {factor})`. If n is always the same, it is as good to multiply it "
        f"once by `{back}` before training and by `{factor}` after it."
    )


def code(source: Layer, target: Layer) -> str:
    """The functions that were run: from the source, to the target, and what is done after a step."""
    parts = [
        f"# {source.title}: what it holds\n{_shown(source.read)}",
        f"# {target.title}: a layer that holds the same\n{_shown(target.make)}",
    ]
    if source.counts and not target.counts:
        parts.append(
            f"# before each step of training (a method of State)\n{_shown(State.weighted)}"
        )
    if source.is_unbiased != target.is_unbiased:
        parts.append(f"# after each step of training\n{_shown(convert.correct)}")
    axis = source.channel_axis if target.axis else target.channel_axis
    parts.append(f"layer = make(read(source), rank=x.ndim, axis={axis})")
    return "\n\n\n".join(parts)


def _shown(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function)).rstrip()
