"""Finds implementations by name: those of this package, installed plug-ins, and files named in the call."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from conformance.errors import UserError
from conformance.implementations.base import Implementation
from conformance.implementations.program import PREFIX, Program
from conformance.operations import METHODS

ENTRY_POINTS = "batchnorm_conformance.implementations"
_MODULES = (
    "numpy",
    "tensorflow",
    "tensorflow_fused",
    "torch",
    "torch_modules",
    "torch_transforms",
    "torch_sync",
    "jax",
    "flax",
    "haiku",
    "equinox",
    "keras",
    "onnxruntime",
    "onnx",
    "openvino",
    "paddle",
    "mlx",
    "tinygrad",
    "cupy",
)


@dataclass(frozen=True)
class Chosen:
    """One implementation to run: how to load it again in another process, and what it is."""

    spec: str
    name: str
    framework: str
    packages: tuple[str, ...]
    process: str
    built_in: bool


def built_in() -> dict[str, type[Implementation]]:
    """The implementations of this package by name. Their frameworks are not imported."""
    found: dict[str, type[Implementation]] = {}
    for module_name in _MODULES:
        module = importlib.import_module(f"conformance.implementations.{module_name}")
        for item in vars(module).values():
            if (
                isinstance(item, type)
                and issubclass(item, Implementation)
                and item.__module__ == module.__name__
                and "name" in vars(item)
            ):
                found[item.name] = item
    return found


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def is_installed(implementation: type[Implementation]) -> bool:
    modules = implementation.modules or (implementation.framework,)
    return all(importlib.util.find_spec(module) is not None for module in modules)


def process_of(implementation: Implementation | type[Implementation]) -> str:
    return implementation.process or implementation.framework


def matching(selector: str) -> list[str]:
    """Names of this package's implementations: that very one, a framework's, or a glob's."""
    known = built_in()
    if selector in known:
        return [selector]
    return [
        name
        for name, implementation in known.items()
        if implementation.framework == selector or fnmatchcase(name, selector)
    ]


def load(spec: str) -> Implementation:
    """A new instance of the implementation that `spec` names; its `start` has not been called.

    Raises UserError for an unknown name, a plug-in that cannot be imported, and one that offers
    no operation.
    """
    known = built_in()
    if spec in known:
        return known[spec]()
    try:
        if spec.startswith(PREFIX):
            target = Program(spec)
        elif spec in (points := entry_points()):
            target = points[spec].load()
        elif ":" in spec:
            target = _import(spec)
        else:
            raise UserError(_unknown(spec))
        return _instance(spec, target)
    except UserError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        text = str(error).strip().splitlines()
        raise UserError(
            f"--impl {spec}: cannot be imported: {type(error).__name__}"
            f"{': ' + text[0] if text else ''}; mend the file, or name another"
        ) from None


def _unknown(spec: str) -> str:
    names = ", ".join([*built_in(), *entry_points()])
    return (
        f"--impl {spec}: no such implementation; known: {names}; "
        "your own is named path/to/file.py:Name, package.module:Name or 'exec:COMMAND'"
    )


def _import(spec: str) -> Any:
    place, _, attribute = spec.rpartition(":")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise UserError(f"--impl {spec}: there is no file {place}")
        module_spec = importlib.util.spec_from_file_location(f"bnconf_plug_in_{path.stem}", path)
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        sys.path.insert(0, str(path.resolve().parent))
        sys.modules[module.__name__] = module
        module_spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    if not hasattr(module, attribute):
        raise UserError(f"--impl {spec}: {place} has no {attribute!r}; name a class or a function")
    return getattr(module, attribute)


def _instance(spec: str, target: Any) -> Implementation:
    if isinstance(target, type):
        target = target()
    if not any(callable(getattr(target, method, None)) for method in METHODS):
        if not callable(target) or isinstance(target, Implementation):
            raise UserError(
                f"--impl {spec}: offers no operation, it lacks {', '.join(METHODS)}; "
                "define train(self, x, gamma, beta, epsilon)"
            )
        target = Function(spec, target)
    _complete(spec, target)
    instance: Implementation = target
    return instance


def _complete(spec: str, target: Any) -> None:
    """Defaults for what an implementation leaves out; UserError for what it says wrongly."""
    defaults = {k: v for k, v in vars(Implementation).items() if not k.startswith("_")}
    defaults |= {"name": spec, "framework": "numpy", "start": lambda: None}
    for name, value in defaults.items():
        if not hasattr(target, name):
            setattr(target, name, value)
    if not (isinstance(target.name, str) and target.name and target.name.isprintable()):
        raise UserError(f"--impl {spec}: name must be a printable string, not {target.name!r}")
    if target.name in built_in():
        raise UserError(f"--impl {spec}: the name {target.name} is this package's own; rename it")
    if not (isinstance(target.framework, str) and target.framework.isprintable()):
        raise UserError(
            f"--impl {spec}: framework must be a printable string, not {target.framework!r}"
        )
    for field, kind in (("dtypes", str), ("ranks", int), ("devices", str), ("packages", str)):
        value = getattr(target, field)
        if not isinstance(value, tuple | list) or not all(isinstance(v, kind) for v in value):
            raise UserError(
                f"--impl {spec}: {field} must be a tuple of {kind.__name__}, not {value!r}"
            )
    if target.channel_axis not in (1, -1):
        raise UserError(f"--impl {spec}: channel_axis must be 1 or -1, not {target.channel_axis!r}")


class Function(Implementation):
    """A plain function batch_norm(Z, gamma, beta, epsilon): Z (m, n), gamma and beta (1, n)."""

    framework = "numpy"
    channel_axis = -1

    def __init__(self, name: str, function: Any) -> None:
        self.name = name  # type: ignore[misc]
        self.function = function

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        rows = x.reshape(-1, x.shape[-1])
        y = self.function(rows, gamma.reshape(1, -1), beta.reshape(1, -1), epsilon)
        return y.reshape(x.shape) if getattr(y, "shape", None) == rows.shape else y


def describe(spec: str) -> Chosen:
    """What `spec` names. A plug-in is imported here: call this where that may do harm."""
    known = built_in()
    implementation = known[spec] if spec in known else load(spec)
    return Chosen(
        spec=spec,
        name=implementation.name,
        framework=implementation.framework,
        packages=tuple(implementation.packages) or (implementation.framework,),
        process=process_of(implementation),
        built_in=spec in known,
    )


def unique(chosen: Iterable[Chosen]) -> list[Chosen]:
    """The same list without repetitions; UserError where two share a name."""
    by_name: dict[str, Chosen] = {}
    for one in chosen:
        other = by_name.setdefault(one.name, one)
        if other.spec != one.spec:
            raise UserError(
                f"--impl {one.spec} and --impl {other.spec} are both named {one.name}; rename one"
            )
    return list(by_name.values())
