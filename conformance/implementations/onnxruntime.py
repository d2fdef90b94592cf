"""ONNX Runtime: the operator BatchNormalization of ONNX, in three versions, with the default optimizations."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.implementations._onnx_operator import Operator

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class BatchNormalization9(Operator):
    name = "onnxruntime.BatchNormalization-9"
    framework = "onnxruntime"
    modules = ("onnxruntime", "onnx")
    packages = ("onnxruntime", "onnx")
    opset = 9
    dtypes = ("float16", "float32", "float64")
    devices = ("cpu", "cuda")

    def start(self) -> None:
        import onnxruntime

        self.provider = _PROVIDERS[self.device]
        if self.provider not in onnxruntime.get_available_providers():
            raise UserError(
                f"onnxruntime {onnxruntime.__version__} has no {self.provider}; use --device cpu"
            )
        self.session = onnxruntime.InferenceSession
        self.options = onnxruntime.SessionOptions()
        self.options.log_severity_level = 4

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        session = self.session(model.SerializeToString(), self.options, providers=[self.provider])
        outputs: list[np.ndarray] = session.run(None, feeds)
        return outputs


class BatchNormalization14(BatchNormalization9):
    name = "onnxruntime.BatchNormalization-14"
    opset = 14


class BatchNormalization15(BatchNormalization9):
    name = "onnxruntime.BatchNormalization-15"
    opset = 15
