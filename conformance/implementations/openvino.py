"""OpenVINO on the CPU: its operator BatchNormInference, and BatchNormalization of ONNX as it reads it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from conformance.implementations._onnx_operator import Operator
from conformance.implementations.base import Implementation


class _Compiled(Implementation):
    """Parameters are constants, sizes are left open, and the precision is the device's default:
    float32 for all dtypes, and on processors with AMX bfloat16.
    """

    framework = "openvino"

    def start(self) -> None:
        import openvino
        from openvino import opset5

        self.openvino, self.opset5 = openvino, opset5
        self.core = openvino.Core()

    def computed(self, compiled: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs; those in bfloat16 come as bits that are called float16."""
        results = compiled([self.tensor(array) for array in arrays])
        outputs = [results[place].copy() for place in compiled.outputs]
        for k, place in enumerate(compiled.outputs):
            if place.element_type == self.openvino.Type.bf16:
                import ml_dtypes

                outputs[k] = outputs[k].view(ml_dtypes.bfloat16)
        return outputs

    def tensor(self, array: np.ndarray) -> Any:
        """NumPy's bfloat16 goes over as its bits, which OpenVINO does not know it by."""
        if array.dtype.name == "bfloat16":
            bits = np.ascontiguousarray(array).view(np.int16)
            return self.openvino.Tensor(bits, list(array.shape), self.openvino.Type.bf16)
        return self.openvino.Tensor(array)


class BatchNormInference(_Compiled):
    name = "openvino.BatchNormInference"

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        constants = [self.openvino.op.Constant(self.tensor(a)) for a in (gamma, beta, mean, var)]
        kind = self.openvino.Type.bf16 if x.dtype.name == "bfloat16" else x.dtype
        place = self.opset5.parameter(self.openvino.PartialShape([-1] * x.ndim), kind)
        y = self.opset5.batch_norm_inference(place, *constants, epsilon)
        model = self.openvino.Model([y], [place])
        return self.computed(self.core.compile_model(model, "CPU"), [x])[0]


class BatchNormalization15(_Compiled, Operator):
    name = "openvino.BatchNormalization-15"
    modules = ("openvino", "onnx")
    packages = ("openvino", "onnx")
    opset = 15

    def start(self) -> None:
        super().start()
        self.compiled = lru_cache(16)(self._compiled)

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.computed(self.compiled(model.SerializeToString()), list(feeds.values()))

    def _compiled(self, model: bytes) -> Any:
        return self.core.compile_model(self.core.read_model(model), "CPU")
