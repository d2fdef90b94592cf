"""Keras 3: keras.layers.BatchNormalization, on TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.keras import OnTensorFlow
from conformance.recipes.layer import Called, Layer, State


def make(state: State, rank: int, axis: int) -> Any:
    import keras

    layer = keras.layers.BatchNormalization(
        axis=axis, epsilon=state.epsilon, momentum=1 - state.rate, dtype=state.gamma.dtype.name
    )
    layer.build([len(state.gamma)] * rank)
    layer.set_weights([state.gamma, state.beta, state.mean, state.var])
    return layer


def read(layer: Any) -> State:
    gamma, beta, mean, var = layer.get_weights()
    return State(gamma, beta, mean, var, epsilon=layer.epsilon, rate=1 - layer.momentum)


def call(layer: Any, x: np.ndarray, dy: np.ndarray, training: bool | None) -> Called:
    import tensorflow as tf

    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = layer(tensor, training=training)
    wanted = (tensor, layer.gamma.value, layer.beta.value)
    dx, dgamma, dbeta = tape.gradient(y, wanted, output_gradients=tf.constant(dy))
    return layer, y.numpy(), (dx.numpy(), dgamma.numpy(), dbeta.numpy())


LAYER = Layer(
    name="keras",
    title="Keras",
    code="keras.layers.BatchNormalization",
    implementation=OnTensorFlow,
    names={"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "var": "moving_variance"},
    epsilon="epsilon",
    momentum="momentum",
    training="layer(x, training=True)",
    inference="layer(x, training=False)",
    axis="axis",
    float64='`dtype="float64"`; on its backends PyTorch and JAX the layer computes in float32 even then',
    start=lambda: OnTensorFlow().start(),
    make=make,
    read=read,
    call=call,
)
