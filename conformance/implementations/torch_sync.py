"""torch.nn.SyncBatchNorm: each batch split unevenly over two processes, which share one GPU.

Training with it is refused on the CPU ("expected input tensor to be on GPU"), and in a world of one
process it is plain batch norm. NCCL wants a GPU for each process; gloo does not.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from conformance.implementations.torch_modules import TorchModule

_PATIENCE = timedelta(seconds=50)  # with the other process, less than a case has


class OneOfTwo(TorchModule):
    """One process's share of the work."""

    module = "SyncBatchNorm"

    def join(self, folder: str, rank: int) -> None:
        self.torch.distributed.init_process_group(
            "gloo",
            init_method=(Path(folder) / "store").as_uri(),
            rank=rank,
            world_size=2,
            timeout=_PATIENCE,
        )

    def _gradients(self, tensors: Any, dy: Any, **how: Any) -> Any:
        """Those of gamma and beta are left to be summed, which DistributedDataParallel does."""
        dx, *parameters = super()._gradients(tensors, dy, **how)
        sums = self._tensors(*(parameter.copy() for parameter in parameters))
        for gradient in sums:
            self.torch.distributed.all_reduce(gradient)
        return dx, *(self._array(gradient) for gradient in sums)


def _second(connection: Any, folder: str, device: str) -> None:
    """The second process: it does what it is told until the first one is gone."""
    implementation = OneOfTwo()
    implementation.device = device
    implementation.start()
    implementation.join(folder, 1)
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(implementation, method)(*arguments)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        connection.send(answer)


class SyncBatchNorm(OneOfTwo):
    name = "torch.nn.SyncBatchNorm"
    devices = ("cuda",)
    process = "torch.nn.SyncBatchNorm"

    def start(self) -> None:
        super().start()
        self.connection: Any = None

    def _meet(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory(prefix="bnconf-")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.folder.name, self.device)
        self.other = context.Process(target=_second, args=arguments, daemon=True)
        self.other.start()
        theirs.close()
        self.join(self.folder.name, 0)

    def _part(self) -> None:
        self.other.kill()
        self.connection = None
        self.torch.distributed.destroy_process_group()

    def train(self, *arguments: Any) -> Any:
        return np.concatenate(self._ask_both("train", arguments, (0,)))

    def infer(self, *arguments: Any) -> Any:
        return np.concatenate(self._ask_both("infer", arguments, (0,)))

    def dense(self, *arguments: Any) -> Any:
        return np.concatenate(self._ask_both("dense", arguments, (0,)))

    def update(self, *arguments: Any) -> Any:
        return self._ask_both("update", arguments, (0,))[0]

    def grad(self, *arguments: Any) -> Any:
        (dx, *sums), (other, *_) = self._ask_both("grad", arguments, (0, -1))
        return np.concatenate((dx, other)), *sums

    def grad_infer(self, *arguments: Any) -> Any:
        (dx, *sums), (other, *_) = self._ask_both("grad_infer", arguments, (0, -1))
        return np.concatenate((dx, other)), *sums

    def _ask_both(self, method: str, arguments: tuple[Any, ...], split: tuple[int, ...]) -> Any:
        """Both answers, of which the first is for three eighths of the rows, rounded up."""
        mine, others = list(arguments), list(arguments)
        for place in split:
            array = arguments[place]
            if array.ndim:
                rows = -(-3 * len(array) // 8)
                mine[place], others[place] = array[:rows], array[rows:]
            self._tensor(mine[place])  # what it refuses is not to keep the other one waiting
        if self.connection is None:
            self._meet()
        self.connection.send((method, others))
        try:
            answer = getattr(super(), method)(*mine)
        except Exception:
            if not isinstance(self.connection.recv(), str):
                self._part()
            raise
        other = self.connection.recv()
        if isinstance(other, str):
            self._part()
            raise RuntimeError(f"in the other process: {other}")
        return answer, other

    layer = None  # type: ignore[assignment]  # alone in its world it is plain batch norm
