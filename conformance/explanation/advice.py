"""What to change, in the terms of the libraries that people use."""

from __future__ import annotations

from conformance.explanation import defaults
from conformance.explanation.trial import Outcome
from conformance.judge import CONFORMS

_FIXED = {
    "batch-statistics": (
        "y was made in training mode. For inference call model.eval() in PyTorch, layer(x, training=False) in Keras, "
        "use_running_average=True in Flax, is_training=False in tf.compat.v1.nn.fused_batch_norm.",
    ),
    "running-statistics": (
        "y was made in inference mode. For training call model.train() in PyTorch, layer(x, training=True) in Keras, "
        "use_running_average=False in Flax; a frozen Keras layer (trainable=False) always runs in inference.",
    ),
    "statistics-held-constant": (
        "The gradient is that of inference: differentiate through a call in training mode, and stop no gradient at the batch's mean and variance.",
    ),
    "mean-and-variance-swapped": (
        "Swap the two statistics in the call or the converted weights. The order is mean, var in torch.nn.functional.batch_norm, tf.nn.batch_normalization "
        "and ONNX; Keras's get_weights() gives gamma, beta, moving_mean, moving_variance.",
    ),
    "standard-deviation-for-variance": (
        "var was squared on the way: hand in the variance, not its root, or take the root where it is made.",
    ),
    "statistics-before-update": (
        "y was made by statistics that are older than those given: copy running_mean and running_var after the last training step (and after the "
        "exponential moving average of the weights, if there is one), or reload the last checkpoint.",
    ),
    "statistics-after-update": (
        "y was made by the statistics after the update: hand those in, or save them before the training step.",
    ),
    "initial-statistics": (
        "The running statistics were never loaded or never updated: they are still 0 and 1. Load running_mean and running_var with the weights "
        "(they are buffers in PyTorch, the collection batch_stats in Flax, the non-trainable weights in Keras), and check that the update was run.",
    ),
    "gamma-and-beta-swapped": (
        "Swap gamma and beta. The order is weight (gamma), bias (beta) in PyTorch and gamma, beta in Keras; tf.nn.batch_normalization takes offset (beta) before scale (gamma).",
    ),
    "gamma-ignored": (
        "Load gamma: weight in PyTorch with affine=True, scale=True in Keras, use_scale=True in Flax.",
    ),
    "beta-ignored": (
        "Load beta: bias in PyTorch with affine=True, center=True in Keras, use_bias=True in Flax.",
    ),
    "gamma-and-beta-ignored": (
        "Load gamma and beta: affine=True in PyTorch, scale=True and center=True in Keras, use_scale=True and use_bias=True in Flax.",
    ),
    "unbiased-variance": (
        "Normalize by the population variance: var(x, unbiased=False) in PyTorch, ddof=0 in NumPy.",
    ),
    "epsilon-outside-sqrt": ("Write sqrt(var + epsilon) for sqrt(var) + epsilon.",),
    "single-pass-variance": (
        "Compute the variance in two passes, mean((x - mean)^2): use_fast_variance=False in Flax; where that cannot be chosen, subtract a rough mean from x first.",
    ),
    "folded": (
        "The inference is folded into x * factor + (beta - mean * factor). To get the digits back compute gamma * (x - mean) / sqrt(var + epsilon) + beta, "
        "or keep the running mean small by centering what comes before.",
    ),
    "native-precision": (
        "Accumulate in float32: half precision is too narrow for the sums. Keep the layer in float32, "
        "or convert x before it and y after it.",
    ),
    "float32-inside": (
        "float64 was left on the way: check the dtype policy (keras.config.set_floatx, jax_enable_x64) and every conversion before the layer.",
    ),
    "statistics-frozen": (
        "The running statistics did not move: train in training mode, write the updated statistics back (mutable=['batch_stats'] in Flax), and unfreeze the layer.",
    ),
    "statistics-replaced": (
        "The running statistics are those of the last batch: the weight of the new batch is 1. Set momentum=0.1 in PyTorch or 0.9 in Keras and Flax.",
    ),
    "standard-deviation-averaged": ("Average variances, not standard deviations.",),
    "zero-debiased": (
        "The averages are divided by the weight so far, as Haiku does. Others start from 0 and 1: copy the divided averages, not the hidden state.",
    ),
}
_UNEXPLAINED = (
    "Nothing can be advised yet. Hand in the very x that went into the layer and the y that came out, before any activation or dropout, with all "
    "that belongs to it: gamma, beta, and for inference mean and var."
)
_HALF = (
    "Keep the batch norm in float32: leave it out of model.half(), autocast or the mixed-precision policy, or compare with a float32 run; what a "
    "half precision rounds away cannot be had back from y.",
)


def of(outcome: Outcome, said: Outcome) -> tuple[str, ...]:
    """What to change so that the outputs are what was said."""
    lines: list[str] = []
    for departure in outcome.reading.departures:
        if departure.part == "epsilon":
            lines += _epsilon(outcome.reading.epsilon, said.reading.epsilon)
        elif departure.part == "axis":
            lines += _axis(outcome.reading.axis, said.reading.axis)
        elif departure.part == "precision":
            lines += _FIXED.get(departure.name, _HALF)
        elif departure.part == "rate":
            lines += _rate(departure.name, outcome.reading.rate, said.reading.rate)
        else:
            lines += _FIXED.get(departure.name, ())
    judgement = outcome.judgement
    if judgement.name == "unexplained":
        return (_UNEXPLAINED,)
    if judgement.verdict == CONFORMS:
        return tuple(lines)
    if judgement.name.startswith("epsilon-clamped-"):
        lines += _epsilon(
            float(judgement.name.removeprefix("epsilon-clamped-")), said.reading.epsilon
        )
    elif judgement.name == "epsilon-ignored":
        lines += _epsilon(0.0, said.reading.epsilon)
    elif judgement.name == "momentum-inverted":
        lines += _inverted(said.reading.rate)
    else:
        lines += _FIXED.get(judgement.name, ())
    return tuple(lines)


def unbiased(values: int) -> tuple[str, ...]:
    """What to do with an unbiased running variance of so many values a batch."""
    if values < 2:
        return ()
    return (
        f"To carry the running variance over to a library that averages the population variance (Keras, Flax, Haiku, PaddlePaddle), multiply "
        f"the batches' part of it by (n-1)/n = {(values - 1) / values:.6g}, n = {values:,}; for the other way (to PyTorch, MLX, tinygrad, TensorFlow's "
        f"fused operation) by n/(n-1) = {values / (values - 1):.6g}. Inference by what is stored needs no change.",
    )


def _epsilon(found: float, said: float) -> list[str]:
    owner = [
        f"{value:g} is the default of {whose}"
        for value in (found, said)
        if (whose := defaults.whose_epsilon(value))
    ]
    known = f" ({'; '.join(owner)}.)" if owner else ""
    return [
        f"Pass epsilon {said:g} where y was made, or go on with {found:g} everywhere: eps= in PyTorch, epsilon= in Keras, Flax and "
        f"PaddlePaddle, variance_epsilon= in tf.nn.batch_normalization.{known}"
    ]


def _axis(found: int, said: int) -> list[str]:
    if found < 0:
        return ["The statistics run over all axes: keep the channel axis out of them."]
    return [
        f"The statistics are taken for each index of axis {found}; the channels lie on axis {said}. PyTorch takes the channels on axis 1: x.permute or movedim first; "
        f"pass axis={said} to Keras or Flax, whose default is the last axis."
    ]


def _rate(name: str, found: float, said: float) -> list[str]:
    if name == "momentum-inverted":
        return _inverted(said)
    if name == "updated-more-than-once":
        return [
            "The statistics were updated more than once by this batch: call the layer in training mode once a step (activation checkpointing runs it again)."
        ]
    return [
        f"The new batch has weight {found:g}, not {said:g}: momentum={said:g} in PyTorch, MLX and tinygrad, momentum={1 - said:g} in Keras, Flax and PaddlePaddle."
    ]


def _inverted(rate: float) -> list[str]:
    new, old = (f"{value:.6g}" for value in (rate, 1 - rate))
    return [
        f"PyTorch's momentum (MLX's and tinygrad's too) is the weight of the new batch, that of Keras, Flax and PaddlePaddle the weight of the old statistic: "
        f"for one and the same average use momentum={new} in PyTorch and momentum={old} in Keras, each 1 less the other."
    ]
