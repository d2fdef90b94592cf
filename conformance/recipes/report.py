"""The page of recipes: which pairs agree, and for each what to do, with the ratios before and after."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from conformance.errors import UserError
from conformance.recipes import files, words
from conformance.recipes.convert import FLAG, SCALED, STEPS, VARIANCE
from conformance.recipes.data import FOLLOWING, KINDS, LEARNING_RATE, TRAINING
from conformance.recipes.definition import QUANTITIES
from conformance.recipes.files import Port
from conformance.recipes.layer import LAYERS, Layer, State
from conformance.recipes.pairs import Pair, pairs_in
from conformance.recipes.stages import exceeding, kinds_of


def write(folder: Path, out: Path) -> int:
    """Make the page; the number of pairs. The same files give the same bytes.

    Raises UserError for files that cannot be read or do not belong together, and where `out` cannot
    be written.
    """
    pairs = pairs_in(folder)
    text = "\n".join(_page(pairs, _versions(folder)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}; name another") from None
    return len(pairs)


def _versions(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in files.present(folder, files.PORTED):
        found |= files.read_ported(folder, name).packages
    return dict(sorted(found.items()))


def _page(pairs: Sequence[Pair], versions: Mapping[str, str]) -> Iterator[str]:
    yield from _introduction(versions)
    yield from _matrix(pairs)
    yield from _facts(pairs)
    yield from _worth(pairs)
    yield "## The recipes"
    yield ""
    for pair in pairs:
        if pair.source.name != pair.target.name:
            yield from _recipe(pair)


def _introduction(versions: Mapping[str, str]) -> Iterator[str]:
    fields = ", ".join(f"{one.name}: {one.type}" for one in dataclasses.fields(State))
    yield "# Porting recipes for batch normalization"
    yield ""
    yield (
        "What to set and convert so that a layer of one library goes on as a trained layer of another would: in inference, in "
        "further training, and in its gradients. Every recipe here was run, and so was what happens without it."
    )
    yield ""
    yield (
        f"A layer of each source was trained for {len(TRAINING)} steps, with epsilon 0.002 and 0.2 for the weight of a new batch. Its "
        "state was then taken over twice. *Before*: arrays copied in the order in which each library lists them, the number of the "
        "momentum as it stands, all else at the target's defaults, x as it lies. *After*: by the recipe. Both ran on the same data: "
        f"inference, {len(FOLLOWING)} steps of gradient descent (learning rate {LEARNING_RATE:g}), and inference again, with gradients. On "
        + "; ".join(kind.title for kind in KINDS)
        + "."
    )
    yield ""
    yield (
        "Numbers are test ratios: the error against the exact result of *the source's* definition, over the error that rounding may "
        "cause on these very numbers, in all steps up to that one (`bnconf`'s own bound: the unit roundoff times the running error, and half an ulp). "
        "Up to 4, or √m where m values are summed (16 rows: 4; 72 places: 8.5), two layers **agree**: what is left between them is rounding."
    )
    yield ""
    yield f"Run with {', '.join(f'{name} {version}' for name, version in versions.items())}."
    yield ""
    yield (
        "The functions shown can be called: `conformance.recipes.layers.torch.LAYER.read(layer)` gives a "
        f"`conformance.recipes.layer.State({fields})`, where rate is the weight of a new batch, and `make` takes one."
    )
    yield ""


def _matrix(pairs: Sequence[Pair]) -> Iterator[str]:
    targets = _unique(pair.target for pair in pairs)
    at = {(pair.source.name, pair.target.name): pair for pair in pairs}
    yield "## Which pairs agree"
    yield ""
    yield (
        "Source in rows, target in columns. The largest ratio of all outputs in float32, before → after; all agree after it "
        "but where a cell says *differs*."
    )
    yield ""
    yield f"| from \\ to | {' | '.join(target.title for target in targets)} |"
    yield f"| --- {'| --- ' * len(targets)}|"
    for source in _unique(pair.source for pair in pairs):
        cells = []
        for target in targets:
            pair = at.get((source.name, target.name))
            cells.append("not run" if pair is None else _cell(pair))
        yield f"| **{source.title}** | {' | '.join(cells)} |"
    yield ""
    others = [pair for pair in pairs if pair.source.name != pair.target.name]
    for dtype in ("float32", "float64"):
        kinds = [kind for kind in KINDS if kind.dtype == dtype]
        ran = [p for p in others if any(p.by_recipe(kind) for kind in kinds)]
        agree = [p for p in ran if p.agrees(kinds)]
        naive = [p for p in ran if p.agrees(kinds, naive=True)]
        yield f"- {dtype}: {len(agree)} of {len(ran)} pairs agree after conversion, {len(naive)} before it."
    for target in targets:
        for data, reason in target.remains.items():
            yield f"- What remains in {target.title}, {data.replace('-', ', ')}: {reason}."
    yield ""
    yield (
        "On the diagonal a layer is taken over by its own library; there, *before* differs by the epsilon, and the order is its own. "
        "ONNX Runtime has no gradients: as a target it is held to all else, its parameters moved by those of the formula."
    )
    yield ""


def _unique(layers: Iterator[Layer]) -> list[Layer]:
    by_name = {layer.name: layer for layer in layers}
    return [by_name[name] for name in LAYERS if name in by_name]


def _cell(pair: Pair) -> str:
    kinds = [kind for kind in KINDS if kind.dtype == "float32"]
    before, after = (
        _largest([p for kind in kinds if (p := pick(kind))])
        for pick in (pair.naively, pair.by_recipe)
    )
    text = f"{before} → {after}"
    if not pair.agrees(kinds):
        text = f"*differs* {text}"
    if pair.source.name == pair.target.name:
        return text
    return f"[{text}](#{pair.title.lower().replace(' ', '-')})"


def _largest(ports: Sequence[Port]) -> str:
    if any(port.raises for port in ports):
        return "raises"
    return number(max((ratio for port in ports for ratio in port.ratios.values()), default=0.0))


def number(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "not finite"
    return f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}" if ratio < 1e4 else f"{ratio:.1e}"


def _facts(pairs: Sequence[Pair]) -> Iterator[str]:
    yield "## The layers"
    yield ""
    yield "| | called | epsilon | momentum | running variance | parameters, in its order | channels | training | inference |"
    yield f"| --- {'| --- ' * 8}|"
    for layer in _unique(layer for pair in pairs for layer in (pair.source, pair.target)):
        facts = layer.conventions
        default = "to be given" if facts.momentum is None else f"{facts.momentum:g}"
        channels = {1: "first", -1: "last"}[layer.channel_axis]
        yield (
            f"| **{layer.title}** | `{layer.code}` | `{layer.epsilon}`, {facts.epsilon:g} | `{layer.momentum}`, {default}: "
            f"weight of the {facts.momentum_weighs} | {facts.running_variance} | `{'`, `'.join(layer.names.values())}` | "
            f"{channels}{f', or as `{layer.axis}` says' if layer.axis else ''} | `{layer.training}` | `{layer.inference}` |"
        )
    yield ""


def _worth(pairs: Sequence[Pair]) -> Iterator[str]:
    yield "## What each step is worth"
    yield ""
    yield "The largest ratio where this step alone is left out of the recipe, over all pairs that need it."
    yield ""
    yield "| step | pairs | least | most | shows in |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for step in (*STEPS, FLAG, SCALED):
        found = [
            port
            for pair in pairs
            if pair.source.name != pair.target.name and (port := pair.without(step))
        ]
        ports = [port for port in found if not port.raises]
        if not ports:
            continue
        seen: tuple[str, ...]
        if step == SCALED:
            seen = ("running_var", "y-later")
            name = "running variance, scaled once instead"
            shows = "nothing: so much is left in the running variance and in inference after the training"
        else:
            seen, name, shows = tuple(QUANTITIES), step, ", ".join(_shows(ports))
        ratios = [max(port.ratios.get(one, 0.0) for one in seen) for port in ports]
        if raising := len(found) - len(ports):
            shows += f"; {raising} more raise an error"
        yield f"| {name} | {len(ports)} | {number(min(ratios))} | {number(max(ratios))} | {shows} |"
    yield ""


def _shows(ports: Sequence[Port]) -> list[str]:
    return [
        QUANTITIES[name] for name in QUANTITIES if any(name in exceeding(port) for port in ports)
    ]


def _recipe(pair: Pair) -> Iterator[str]:
    yield f"### {pair.title}"
    yield ""
    for place, (step, sentence) in enumerate(words.sentences(pair.source, pair.target), 1):
        yield f"{place}. {sentence}{_left_out(pair, step)}"
    yield ""
    yield from _table(pair)
    yield from _what_remains(pair)
    yield "<details><summary>Code, as it was run</summary>"
    yield ""
    yield "```python"
    yield words.code(pair.source, pair.target)
    yield "```"
    yield ""
    yield "</details>"
    yield ""


def _left_out(pair: Pair, step: str) -> str:
    port = pair.without(step)
    if port is None:
        return ""
    if port.raises:
        return f" *(Left out: {port.raises}.)*"
    name, ratio = max(port.ratios.items(), key=lambda item: item[1])
    text = f" *(Left out: {QUANTITIES[name]}, ratio {number(ratio)}"
    scaled = pair.without(SCALED) if step == VARIANCE else None
    if scaled is not None and not scaled.raises:
        text += f"; scaled once: running variance {number(scaled.ratios['running_var'])}"
    return f"{text}.)*"


def _table(pair: Pair) -> Iterator[str]:
    kinds = [kind for kind in KINDS if pair.by_recipe(kind)]
    ports = [port for kind in kinds for port in (pair.naively(kind), pair.by_recipe(kind)) if port]
    heads = [f"{kind.title}: {when}" for kind in kinds for when in ("before", "after")]
    yield f"| | {' | '.join(heads)} |"
    yield f"| --- {'| ---: ' * len(heads)}|"
    for name, meaning in QUANTITIES.items():
        cells = [_shown(port, name) for port in ports]
        if set(cells) != {"–"}:
            yield f"| {meaning} | {' | '.join(cells)} |"
    yield ""


def _shown(port: Port, name: str) -> str:
    if port.raises:
        return port.raises
    if name not in port.ratios:
        return "–"
    return number(port.ratios[name])


def _what_remains(pair: Pair) -> Iterator[str]:
    for kind in KINDS:
        if pair.by_recipe(kind) is None:
            lacking = next((x for x in (pair.target, pair.source) if kind not in kinds_of(x)), None)
            if lacking is not None:
                yield f"{kind.title}: {lacking.title} does not offer it."
                yield ""
            continue
        for layer, port in (
            (pair.target, pair.by_recipe(kind)),
            (pair.source, pair.own.get(kind.name)),
        ):
            if port is None or not (port.raises or exceeding(port)):
                continue
            over = ", ".join(f"{QUANTITIES[n]} {number(r)}" for n, r in exceeding(port).items())
            why = layer.remains.get(kind.name, "unexplained")
            whose = (
                ""
                if layer is pair.target
                else f" The source itself is off by its own definition, and {pair.target.title} follows that."
            )
            yield f"**What remains**, {kind.title}, in {layer.title}: {over or port.raises}; {why}.{whose}"
            yield ""
