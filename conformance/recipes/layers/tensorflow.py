"""TensorFlow: the fused operation, with the tensors that it is given and gives back for a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.base import Conventions
from conformance.implementations.tensorflow_fused import FusedBatchNorm
from conformance.recipes.layer import Called, Layer, State


def make(state: State, rank: int, axis: int) -> Any:
    return {
        "scale": state.gamma,
        "offset": state.beta,
        "mean": state.mean,
        "variance": state.var,
        "epsilon": state.epsilon,
        "exponential_avg_factor": state.rate,
    }


def read(layer: Any) -> State:
    return State(
        gamma=layer["scale"],
        beta=layer["offset"],
        mean=layer["mean"],
        var=layer["variance"],
        epsilon=layer["epsilon"],
        rate=layer["exponential_avg_factor"],
    )


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    """Rows (N, C) go in as images of one pixel."""
    import tensorflow as tf

    told = {} if training is None else {"is_training": training}
    images = x if x.ndim == 4 else x[:, None, None, :]
    wanted = [tf.constant(array) for array in (images, layer["scale"], layer["offset"])]
    with tf.GradientTape() as tape:
        tape.watch(wanted)
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            *wanted,
            layer["mean"],
            layer["variance"],
            epsilon=layer["epsilon"],
            exponential_avg_factor=layer["exponential_avg_factor"]
            if training is not False
            else 1.0,
            **told,
        )
    dx, *others = tape.gradient(y, wanted, output_gradients=dy.reshape(images.shape))
    if training is not False:
        layer = {**layer, "mean": mean.numpy(), "variance": variance.numpy()}
    y, dx = (tensor.numpy().reshape(x.shape) for tensor in (y, dx))
    return layer, y, (dx, *(other.numpy() for other in others))


LAYER = Layer(
    name="tensorflow",
    title="TensorFlow",
    code="tf.compat.v1.nn.fused_batch_norm",
    implementation=FusedBatchNorm,
    names={"gamma": "scale", "beta": "offset", "mean": "mean", "var": "variance"},
    epsilon="epsilon",
    momentum="exponential_avg_factor",
    training="is_training=True",
    inference="is_training=False",
    conventions_of_function=Conventions(
        epsilon=1e-3,
        momentum=1.0,
        momentum_weighs="new",
        running_variance="unbiased",
        half_output="x",
        half_statistics="float32",
        fresh="initial-statistics",
        frozen="none",
    ),
    float64="not offered: the operation takes float32 and half precisions",
    start=lambda: FusedBatchNorm().start(),
    make=make,
    read=read,
    call=call,
)
