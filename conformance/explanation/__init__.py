"""A user's own tensors explained: which named formula made them, within which bound, and what to change.

    print(conformance.explain(x=x, y=y, gamma=gamma, beta=beta, epsilon=1e-3, layout="NHWC"))
    conformance.assert_batch_norm(y, x=x, gamma=gamma, beta=beta, epsilon=1e-3, layout="NHWC")

The formulas, scales and judge are those of the suite. What is not certified are the values: see
`conformance.explanation.trial`. Of large tensors a sample is looked at: see `conformance.explanation.sample`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from conformance.explanation.findings import Explanation
from conformance.explanation.given import gather
from conformance.judge import ACCEPTABLE

__all__ = ["Explanation", "assert_batch_norm", "explain"]


def explain(
    *,
    x: Any = None,
    layout: str | int | None = None,
    mode: str | None = None,
    dtype: str | None = None,
    **tensors: Any,
) -> Explanation:
    """What explains the tensors: arrays of NumPy, or of any framework on the CPU.

    x and y, y2 (another framework's y), dy and dx are of one shape; gamma, beta, mean and var (the running
    statistics used in inference), dgamma and dbeta, mean_before, var_before, mean_after and var_after (running
    statistics around one training step on x) hold one number a channel. epsilon, momentum and rate are numbers: rate is the
    weight of the new batch; momentum above a half is taken for the weight of the old statistic, and below for that of
    the new batch, as it is meant wherever it is used. What is not said is searched for: `layout` (NCHW, channels_last,
    or the number of the channel axis), epsilon, and `mode` (train or infer). Other usual names will do: weight, running_mean, eps.

    Raises UserError for tensors that do not fit together.
    """
    from conformance.explanation.answers import explanation_of

    return explanation_of(gather({"x": x, **tensors}, layout=layout, mode=mode, dtype=dtype))


def assert_batch_norm(
    y: Any,
    *,
    x: Any,
    epsilon: float,
    layout: str | int = 1,
    mode: str | None = None,
    dtype: str | None = None,
    accept: Collection[str] = (),
    **tensors: Any,
) -> None:
    """Pass where y is the batch norm of x within the bound that rounding allows; no tolerance is asked for.

    Inference where mean and var are given, training else. `accept` holds names of explanations that are fine as
    well: PyTorch's own inference on the CPU is "folded", for one. Raises AssertionError with the explanation, and
    UserError for tensors that do not fit together.
    """
    explained = explain(x=x, y=y, epsilon=epsilon, layout=layout, mode=mode, dtype=dtype, **tensors)
    if not all(f.verdict in ACCEPTABLE or f.name in accept for f in explained.findings):
        raise AssertionError(f"not a batch norm as was said:\n{explained}")
