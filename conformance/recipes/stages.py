"""The two stages that run layers: each source is trained, and each target takes over all sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from conformance import environment
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.recipes import convert, execute, files
from conformance.recipes.data import FOLLOWING, KINDS, Kind, batches
from conformance.recipes.definition import exact, limit_of, ratios
from conformance.recipes.files import Port, Ported, Trained
from conformance.recipes.layer import Layer, State, layer_of


def train(name: str, folder: Path) -> Path:
    """Trains a layer on each kind of data that it offers, and writes down what it holds."""
    layer = _started(name)
    states = {kind.name: execute.trained(layer, kind) for kind in kinds_of(layer)}
    return files.write_trained(folder, Trained(name, _packages(layer), states))


def port(name: str, folder: Path) -> tuple[Path, list[str]]:
    """Takes over every trained layer, and writes down the ratios; also, what is not as recorded."""
    target = layer_of(name)
    sources = [files.read_trained(folder, one) for one in files.present(folder, files.TRAINED)]
    target = _started(name)
    ports = [
        one
        for source in sources
        for kind in kinds_of(target)
        if kind.name in source.states
        for one in _ports(layer_of(source.layer), target, kind, source.states[kind.name])
    ]
    digests = {source.layer: source.digest for source in sources}
    path = files.write_ported(folder, Ported(name, _packages(target), digests, ports))
    return path, strange(target, ports)


def kinds_of(layer: Layer) -> list[Kind]:
    return [kind for kind in KINDS if kind.dtype in layer.implementation.dtypes]


def _ports(source: Layer, target: Layer, kind: Kind, state: State) -> Iterator[Port]:
    data = batches(kind, FOLLOWING)
    expected = exact(state, source.is_unbiased, data, kind)
    for left_out in variants(source, target, kind):
        handed = convert.hand_over(state, source, target, kind.shape, frozenset(left_out))
        try:
            with np.errstate(all="ignore"):
                found = ratios(execute.follow(target, handed, data), expected, kind)
        except Exception as error:
            yield Port(source.name, kind.name, left_out, raises=type(error).__name__)
        else:
            yield Port(source.name, kind.name, left_out, found)


def variants(source: Layer, target: Layer, kind: Kind) -> list[tuple[str, ...]]:
    """What is left out in turn: nothing; all; and each step alone, on the data that shows it best."""
    rank, dtype = len(kind.shape), kind.dtype
    needed = convert.steps(source, target, rank, dtype)
    shown = set(convert.steps(source, target, 2, "float32"))
    if kind is not KINDS[0]:
        shown = set(needed) - shown
    alone = [(step,) for step in needed if step in shown]
    if kind is KINDS[0]:
        alone.append((convert.FLAG,))
    if convert.VARIANCE in shown:
        alone.append((convert.SCALED,))
    return [(), needed, *(one for one in alone if one != needed)]


def exceeding(port: Port) -> dict[str, float]:
    """The quantities that rounding does not explain."""
    kind = next(kind for kind in KINDS if kind.name == port.data)
    return {name: r for name, r in port.ratios.items() if not r <= limit_of(name, kind)}


def strange(target: Layer, ports: list[Port]) -> list[str]:
    """Recipes that do not agree and no reason is recorded why; reasons that nothing has shown."""
    found, shown = [], set()
    for one in ports:
        if one.left_out:
            continue
        over = exceeding(one)
        if (over or one.raises) and one.data not in target.remains:
            what = one.raises or ", ".join(f"{name} {ratio:.3g}" for name, ratio in over.items())
            found.append(f"{one.source} to {target.name}, {one.data}: does not agree ({what})")
        if over:
            shown.add(one.data)
    ran = {one.data for one in ports}
    found += [
        f"{target.name}, {data}: agrees with every source, though it is recorded why it cannot"
        for data in target.remains
        if data in ran and data not in shown
    ]
    return found


def _started(name: str) -> Layer:
    layer = layer_of(name)
    if not registry.is_installed(layer.implementation):
        modules = layer.implementation.modules or (layer.implementation.framework,)
        raise UserError(f"{name}: needs {' and '.join(modules)}; install that, or name another")
    layer.start()
    return layer


def _packages(layer: Layer) -> dict[str, str]:
    implementation = layer.implementation
    return environment.versions(implementation.packages or (implementation.framework,))
