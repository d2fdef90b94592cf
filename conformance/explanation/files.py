"""Tensors read from .npz and .npy files, by the names of the arrays or of the files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.errors import UserError
from conformance.explanation.given import canonical

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    SyntaxError,
    MemoryError,
)


def read(paths: Iterable[Path], named: Mapping[str, Path]) -> dict[str, Any]:
    """Arrays by name: those of .npz files, .npy files by the names of the files, folders of them, and
    files whose name was said. Raises UserError for one that cannot be read, and for two of one name."""
    found: dict[str, Any] = {}
    origin: dict[str, str] = {}

    def add(name: str, array: np.ndarray, where: str) -> None:
        known = canonical(name) or name
        if known in found:
            raise UserError(f"{where}: {known} is in {origin[known]} already; leave one out")
        found[known], origin[known] = array, where

    for path in paths:
        files = sorted(path.glob("*.np[yz]")) if path.is_dir() else [path]
        if not files:
            raise UserError(f"{path}: no .npy or .npz file in this folder")
        for file in files:
            for name, array in _arrays(file).items():
                where = f"{file}: {name}"
                if canonical(name) is None and (path.is_dir() or file.suffix == ".npz"):
                    continue  # a file may hold more than concerns us
                add(name, array, where)
    for name, path in named.items():
        arrays = _arrays(path)
        if len(arrays) != 1:
            raise UserError(f"{path}: holds {len(arrays)} arrays; --{name} takes an .npy file")
        add(name, next(iter(arrays.values())), str(path))
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix not in (".npy", ".npz"):
        raise UserError(
            f"{path}: is neither .npz nor .npy; write it with numpy.savez or numpy.save"
        )
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {path.stem: loaded}
            return {name: loaded[name] for name in loaded.files}
    except _UNREADABLE as error:
        if "allow_pickle" in str(error) or "pickle" in str(error).lower():
            raise UserError(
                f"{path}: holds Python objects or is no NumPy file, and unpickling runs code; save plain arrays"
            ) from None
        why = getattr(error, "strerror", None) or str(error).strip().splitlines()[0][:200]
        raise UserError(f"{path}: cannot be read: {why}") from None
