"""Family running-statistics: running mean and variance after one, two and ten batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, to_layout

_CHANNELS = 3
_RATES = (0.0, 0.01, 0.1, 0.5, 1.0)
_BATCHES = {"one": (7,), "two": (7, 7), "ten": (7,) * 10, "uneven": (3, 7, 2, 7)}
_STATES = {
    "far": (np.array([5.0, -40.0, 300.0]), np.array([0.02, 9.0, 2500.0])),
    "fresh": (np.zeros(_CHANNELS), np.ones(_CHANNELS)),
}


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for how, batches in _BATCHES.items():
            for rate in _RATES:
                yield _draft(dtype, f"{how}-rate-{rate:g}", batches, [rate] * len(batches))
            cumulative = [1 / k for k in range(1, len(batches) + 1)]
            yield _draft(dtype, f"{how}-cumulative", batches, cumulative)
        for state in _STATES:
            yield _draft(dtype, f"two-from-{state}", (7, 7), [0.1, 0.1], state)
        yield _draft(dtype, "varying-rates", (7, 7, 7), [0.5, 0.1, 0.9])
        yield _draft(dtype, "one-value", (1,), [0.1])
        yield _draft(dtype, "one-value-between", (7, 1, 7), [0.1] * 3)
        yield _draft(dtype, "two-values", (2,), [0.1])
        yield _draft(dtype, "large-mean", (7, 7), [0.1] * 2, offset=4096.0)
        yield _draft(dtype, "NCL", (4, 4), [0.1] * 2, layout="NCL", spatial=(7,))
        yield _draft(dtype, "NHWC", (2, 2), [0.1] * 2, layout="NHWC", spatial=(4, 3))
    for dtype in DTYPES:
        yield _draft(dtype, "NCHW", (2, 2), [0.1] * 2, layout="NCHW", spatial=(4, 3))
        yield _draft(dtype, "NLC", (4, 4), [0.1] * 2, layout="NLC", spatial=(7,))
        for layout in ("NCDHW", "NDHWC"):
            yield _draft(dtype, layout, (2, 2), [0.1] * 2, layout=layout, spatial=(3, 2, 3))
        for scale in (1e-3, 1e3):
            yield _draft(dtype, f"scale-{scale:g}", (7, 7), [0.1] * 2, scale=scale)
        yield _constant(dtype)
    for values in (2, 3):
        how, spatial = f"one-sample-of-{values}", (values,)
        yield _draft("float32", how, (1, 1), [0.1] * 2, layout="NCL", spatial=spatial)


def _draft(
    dtype: str,
    how: str,
    batches: tuple[int, ...],
    rates: list[float],
    state: str = "",
    layout: str = "NC",
    spatial: tuple[int, ...] = (),
    offset: float = 0.0,
    scale: float = 1.0,
) -> Draft:
    name = f"update-{dtype}-{how}"
    draw = Draw(f"running-statistics/{name}")
    channels = {4: 5, 5: 2}.get(len(layout), _CHANNELS)
    x = scale * draw.activations((sum(batches), *spatial, channels)) + offset
    # Each batch has a mean and a spread of its own, so that their order can be told.
    start = 0
    for k, size in enumerate(batches):
        x[start : start + size] = x[start : start + size] * (1 + k / 4) + k
        start += size
    statistics = draw.statistics(channels)
    mean, var = _STATES[state] if state else (statistics["mean"], statistics["var"])
    return Draft(
        name,
        "update",
        dtype,
        layout,
        1e-3,
        f"batches of {', '.join(map(str, batches))}, weights {', '.join(f'{r:.3g}' for r in rates)}",
        {"x": to_layout(x, layout), "running_mean": mean, "running_var": var},
        attributes={"batches": list(batches), "rates": rates},
    )


def _constant(dtype: str) -> Draft:
    """The middle channel is one number throughout: its running variance decays, and no other's does."""
    draft = _draft(dtype, "constant", (7, 7), [0.1] * 2)
    x = draft.inputs["x"].copy()
    x[:, 1] = 2.5
    comment = "the middle channel is 2.5 throughout"
    return replace(draft, comment=comment, inputs={**draft.inputs, "x": x})


FAMILY = Family(
    "running-statistics",
    "Running mean and variance after 1, 2 and 10 batches, of equal size or not, for every weight of the new batch.",
    _drafts,
)
