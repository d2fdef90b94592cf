"""Recipes: by the facts of two layers one is converted to do as the other; a wrong conversion is seen."""

import ast
import functools
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from conformance import certify, formula
from conformance.alternatives import unbiased_moments
from conformance.cli import main
from conformance.formula import moments, update_once
from conformance.implementations.base import Conventions, Implementation
from conformance.precision import PRECISIONS
from conformance.recipes import convert, definition, execute, files, stages
from conformance.recipes.data import FIRST, FOLLOWING, KINDS, batches, first
from conformance.recipes.layer import LAYERS, LONG_AGO, ROLES, Layer, State, layer_of

ROOT = Path(__file__).resolve().parent.parent
ROWS, IMAGES, WIDE = KINDS


def miniature(
    name,
    epsilon=1e-5,
    weighs="new",
    variance="population",
    order=ROLES,
    axis=1,
    takes_axis=False,
    counts=False,
    mistake=None,
):
    """A layer made of the formulas in NumPy; `mistake(state, training)` is what it goes by instead."""

    class Mini(Implementation):
        framework = "numpy"
        channel_axis = axis
        conventions = Conventions(
            epsilon=epsilon,
            momentum=0.1,
            momentum_weighs=weighs,
            running_variance=variance,
            half_output="x",
            half_statistics="x",
            fresh="initial-statistics",
            frozen="none",
        )

    def make(state, rank, axis):
        return (state, axis)

    def read(layer):
        state, _ = layer
        return replace(state, batches=None) if (state.batches or 0) >= LONG_AGO else state

    def call(layer, x, dy, training):
        training = weighs == "new" if training is None else training
        state, axis = layer
        used = mistake(state, training) if mistake else state
        x, dy = (np.moveaxis(array, axis, -1) for array in (x, dy))
        parameters = (used.gamma, used.beta, used.epsilon)
        if training:
            y = formula.train(np, x, *parameters)["y"]
            gradients = formula.grad(np, x, *parameters, dy)
            kind = unbiased_moments if variance == "unbiased" else moments
            rate = used.weighted().rate if counts else used.rate
            mean, var = update_once(np, x, used.mean, used.var, rate, kind)
            count = None if state.batches is None else state.batches + 1
            state = replace(state, mean=mean, var=var, batches=count)
        else:
            statistics = (used.mean, used.var)
            y = formula.infer(np, x, *statistics, *parameters)["y"]
            gradients = formula.grad_infer(np, x, *statistics, *parameters, dy)
        dx, dgamma, dbeta = gradients.values()
        y, dx = (np.moveaxis(array, -1, axis) for array in (y, dx))
        return (state, axis), y, (dx, dgamma, dbeta)

    return Layer(
        name=name,
        title=name,
        code=name,
        implementation=Mini,
        names=dict(zip(order, order, strict=True)),
        epsilon="epsilon",
        momentum="momentum",
        training="train",
        inference="infer",
        make=make,
        read=read,
        call=call,
        axis="axis" if takes_axis else "",
        counts=counts,
    )


SWAPPED = ("beta", "gamma", "mean", "var")
MINIATURES = {
    layer.name: layer
    for layer in (
        miniature("plain"),
        miniature("old", weighs="old", epsilon=1e-3),
        miniature("unbiased", variance="unbiased", axis=-1),
        miniature("swapped", order=SWAPPED, axis=-1, takes_axis=True),
        miniature("counting", counts=True, weighs="old"),
        miniature("all", 1e-3, "old", "unbiased", SWAPPED, -1, True),
    )
}


@functools.cache
def trained(name, kind):
    """What a miniature holds after its training, the batches that follow, and what it would do exactly."""
    source, data = MINIATURES[name], batches(kind, FOLLOWING)
    state = execute.trained(source, kind)
    return state, data, definition.exact(state, source.is_unbiased, data, kind)


def run(source, target, kind, left_out=()):
    state, data, expected = trained(source.name, kind)
    handed = convert.hand_over(state, source, target, kind.shape, set(left_out))
    return definition.ratios(execute.follow(target, handed, data), expected, kind)


def over(ratios, kind):
    return {name for name, ratio in ratios.items() if ratio > definition.limit_of(name, kind)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("target", MINIATURES.values(), ids=lambda layer: layer.name)
@pytest.mark.parametrize("source", MINIATURES.values(), ids=lambda layer: layer.name)
def test_by_the_recipe_all_agrees_and_without_any_step_of_it_something_does_not(
    source, target, kind
):
    assert over(run(source, target, kind), kind) == set()
    needed = convert.steps(source, target, len(kind.shape), kind.dtype)
    for step in needed:
        assert over(run(source, target, kind, {step}), kind), step
    assert over(run(source, target, kind, needed), kind)
    untold = over(run(source, target, kind, {convert.FLAG}), kind)
    assert ("y-infer" in untold) == (target.conventions.momentum_weighs == "new")
    assert ("y" in untold) == ("running_mean" in untold) == ("y-infer" not in untold)
    if convert.VARIANCE in needed:
        scaled = run(source, target, kind, {convert.SCALED})
        assert not {"running_var", "y-later"} & over(scaled, kind)
        assert "y-infer" in over(scaled, kind), "the scale is changed while it trains"


def test_the_momentum_as_it_stands_shows_in_the_running_statistics_and_nowhere_before():
    ratios = run(MINIATURES["old"], MINIATURES["plain"], ROWS, {convert.MOMENTUM})
    assert ratios["running_mean"] > 1e5
    assert ratios["running_var"] > 1e5
    assert over(ratios, ROWS) == {"running_mean", "running_var", "y-later"}


MISTAKES = {
    "epsilon": lambda state, training: replace(state, epsilon=1e-5),
    "beta": lambda state, training: replace(state, beta=0 * state.beta),
    "swapped": lambda state, training: replace(state, mean=state.var, var=abs(state.mean)),
    "momentum": lambda state, training: replace(state, rate=1 - state.rate),
    "variance": lambda state, training: replace(state, var=state.var * np.float32(16 / 15)),
    "training": lambda state, training: (
        replace(state, gamma=2 * state.gamma) if training else state
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_target_with_a_mistake_is_not_as_recorded(mistake, monkeypatch, tmp_path):
    right, wrong = MINIATURES["plain"], miniature("wrong", mistake=MISTAKES[mistake])
    lines = _ported(monkeypatch, tmp_path, right, wrong)
    assert any(line.startswith("plain to wrong, rows: does not agree (") for line in lines)


def test_a_reason_that_nothing_shows_is_not_as_recorded(monkeypatch, tmp_path):
    right = MINIATURES["plain"]
    told = replace(MINIATURES["old"], remains={"images": "of nothing"})
    assert _ported(monkeypatch, tmp_path, right, right) == []
    (line,) = _ported(monkeypatch, tmp_path, right, told)
    assert line.startswith("old, images: agrees with every source")


def test_a_target_that_raises_is_not_as_recorded(monkeypatch, tmp_path):
    def raises(state, training):
        raise ValueError("no")

    lines = _ported(monkeypatch, tmp_path, MINIATURES["plain"], miniature("wrong", mistake=raises))
    assert lines == [f"plain to wrong, {kind.name}: does not agree (ValueError)" for kind in KINDS]


def _ported(monkeypatch, folder, source, target):
    known = {layer.name: layer for layer in (source, target)}
    monkeypatch.setattr(stages, "layer_of", known.__getitem__)
    monkeypatch.setattr(files, "LAYERS", tuple(known))
    stages.train(source.name, folder)
    return stages.port(target.name, folder)[1]


def test_what_is_not_as_recorded_is_told_and_fails(monkeypatch, capsys):
    monkeypatch.setattr(stages, "port", lambda name, folder: (folder / name, [f"{name}: differs"]))
    assert main(["recipes", "port", "--layer", "torch"]) == 1
    assert "NOT AS RECORDED torch: differs\n" in capsys.readouterr().out


def test_the_correction_of_the_running_variance_is_exact():
    old, rate, factor = Fraction(3, 7), Fraction(1, 5), Fraction(16, 15)
    batch = Fraction(11, 9)
    by_target = formula.average(old, batch, rate)
    assert convert.correct(old, by_target, rate, factor) == formula.average(
        old, factor * batch, rate
    )


def test_a_count_of_batches_makes_for_the_weight_of_the_next():
    rate, average, weight = 0.25, 0.0, 0.0
    for batches_so_far, batch in enumerate((3.0, -1.0, 2.0, 7.0)):
        hidden = (1 - rate) * average * weight + rate * batch
        weight = (1 - rate) * weight + rate
        share = replace(FIRST, rate=rate, batches=batches_so_far).weighted()
        assert share.batches is None
        average = (1 - share.rate) * average + share.rate * batch
        assert average == pytest.approx(hidden / weight, rel=1e-15)


def test_what_is_handed_over_round_trips():
    state = first(ROWS)
    for source in MINIATURES.values():
        for target in MINIATURES.values():
            handed = convert.hand_over(state, source, target, ROWS.shape).state
            back = convert.hand_over(handed, target, source, ROWS.shape).state
            assert back is state, "by its recipe only the terms change, in which a layer takes it"


def test_the_momentum_there_and_back_is_the_same():
    for layer in map(layer_of, LAYERS):
        assert layer.momentum_of(layer.momentum_of(0.25)) == 0.25
        assert set(layer.names) == set(ROLES)
        assert set(layer.remains) <= {kind.name for kind in KINDS}


def test_no_setting_of_the_source_is_a_default_of_any_layer():
    for layer in map(layer_of, LAYERS):
        assert FIRST.epsilon != layer.conventions.epsilon
        assert layer.conventions.momentum not in (FIRST.rate, 1 - FIRST.rate)


def test_exact_values_and_scales_are_those_of_certified_ones():
    data, state = batches(ROWS, FOLLOWING), first(ROWS)
    found = definition.exact(state, False, data, ROWS)
    arrays = {role: getattr(state, role).astype(np.float64) for role in ROLES}
    x, dy = (array.astype(np.float64) for array in (data[0].x, data[0].dy))
    affine = {"gamma": arrays["gamma"], "beta": arrays["beta"]}
    statistics = {"mean": arrays["mean"], "var": arrays["var"]}
    asked = {
        ("infer", "y"): ("y-infer", {"x": x, **statistics, **affine}),
        ("train", "y"): ("y", {"x": x, **affine}),
        ("grad", "dx"): ("dx", {"x": x, **affine, "dy": dy}),
    }
    for (operation, output), (name, inputs) in asked.items():
        float32 = PRECISIONS["float32"]
        certified = certify.expected(operation, float32, inputs, state.epsilon, layout="NC")
        due, got = certified["reference"][output], found[name][0]
        np.testing.assert_allclose(got.value, due.value, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(got.scale, due.scale, rtol=0.011)


FRAMEWORKS = ("keras", "torch", "tensorflow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Keras, PyTorch and TensorFlow trained and ported in one process of their own."""
    folder = tmp_path_factory.mktemp("recipes")
    layers = [f"--layer={name}" for name in FRAMEWORKS]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    script = (
        "import sys; from conformance.cli import main\n"
        f"for stage in ('train', 'port'):\n"
        f"    if main(['recipes', stage, '--folder', {str(folder)!r}, *{layers!r}]):\n"
        "        sys.exit(stage)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("target", FRAMEWORKS)
def test_real_layers_agree_by_the_recipe_and_by_nothing_less(folder, target):
    ports = files.read_ported(folder, target).ports
    assert {port.source for port in ports} == set(FRAMEWORKS)
    for port in ports:
        assert not port.raises
        exceeding = stages.exceeding(port)
        if not port.left_out:
            assert not exceeding, port
        elif port.left_out == (convert.SCALED,):
            assert "running_var" not in exceeding
        else:
            assert max(exceeding.values()) > 1000, port


def test_the_page_is_the_same_twice_and_holds_every_pair_and_code_that_parses(folder, tmp_path):
    pages = []
    for name in ("one.md", "two.md"):
        out = tmp_path / name
        assert main(["recipes", "report", "--folder", str(folder), "--out", str(out)]) == 0
        pages.append(out.read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    titles = [layer_of(name).title for name in FRAMEWORKS]
    for source in titles:
        for target in titles:
            heading = f"\n### {source} to {target}\n"
            assert (heading in pages[0]) == (source != target)
            link = f"](#{source} to {target})".lower().replace(" to ", "-to-")
            assert (link in pages[0]) == (source != target)
    assert "6 of 6 pairs agree after conversion, 0 before it" in pages[0]
    assert "differs* " not in pages[0]
    assert "unexplained" not in pages[0]
    code = re.findall(r"```python\n(.*?)```", pages[0], re.DOTALL)
    assert len(code) == 6
    for block in code:
        names = {node.name for node in ast.walk(ast.parse(block)) if hasattr(node, "name")}
        assert {"read", "make"} <= names


def test_what_was_made_from_another_training_is_refused(folder, tmp_path, capsys):
    for stage in (files.TRAINED, files.PORTED):
        (tmp_path / stage).mkdir()
        for name in FRAMEWORKS:
            path = files.path_of(folder, stage, name)
            files.path_of(tmp_path, stage, name).write_bytes(path.read_bytes())
    path = files.path_of(tmp_path, files.TRAINED, "torch")
    path.write_text(path.read_text(encoding="utf-8").replace("0.2", "0.25"), encoding="utf-8")
    _fails(capsys, "took over another torch", "report", "--folder", str(tmp_path))


def _fails(capsys, text, *arguments):
    """Exit status 2, and one line that has the text in it."""
    assert main(["recipes", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bnconf: ")
    assert text in line


def test_bad_calls_are_told_in_one_line(folder, tmp_path, capsys, monkeypatch):
    at = ("--folder", str(tmp_path))
    _fails(capsys, "known: keras, torch", "train", "--layer", "pytorch", *at)
    _fails(capsys, "no layers (*.jsonl) here", "port", "--layer", "torch", *at)
    _fails(capsys, "no layers (*.jsonl) here", "report", *at)
    _fails(capsys, "cannot be written", "report", "--folder", str(folder), "--out", str(tmp_path))
    monkeypatch.setattr(stages.registry, "is_installed", lambda _: False)
    _fails(capsys, "mlx: needs mlx; install", "train", "--layer", "mlx", *at)


def _changed(**fields):
    return lambda lines: [lines[0], json.dumps(json.loads(lines[1]) | fields), *lines[2:]]


BROKEN = {
    "footer": (lambda lines: lines[:-1], "has no footer"),
    "count": (lambda lines: [*lines[:-2], lines[-1]], "has no footer"),
    "json": (lambda lines: [lines[0], "{", *lines[1:]], "line 2: no JSON object"),
    "empty": (lambda lines: [], "has no footer"),
    "header": (lambda lines: lines[1:], "line 1: no JSON object of the kind header"),
    "layer": (
        lambda lines: [lines[0].replace("torch", "keras"), *lines[1:]],
        "line 1: not a header",
    ),
    "gamma": (_changed(gamma=[1, 2]), "line 2: gamma must be 6 numbers"),
    "text": (_changed(var=["1"] * 6), "line 2: var must be 6 numbers"),
    "rate": (_changed(rate=None), "line 2: epsilon and rate must be numbers"),
    "batches": (_changed(batches=1.5), "line 2: batches must be a whole number or null"),
    "data": (_changed(data="columns"), "line 2: unknown data 'columns'"),
    "left_out": (_changed(left_out="all"), "line 2: left_out must be a list"),
    "ratios": (_changed(ratios={"z": 1}), "line 2: ratios must be numbers by the name"),
    "number": (_changed(ratios={"y": "1"}), "line 2: needs either ratios"),
    "both": (_changed(raises="ValueError"), "line 2: needs either ratios"),
    "source": (_changed(source="caffe"), "line 2: has no source that is known"),
}
OF_PORTED = ("left_out", "ratios", "number", "both", "source")


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_told_in_one_line(how, folder, tmp_path, capsys):
    change, text = BROKEN[how]
    broken = files.PORTED if how in OF_PORTED else files.TRAINED
    for stage in (files.TRAINED, files.PORTED):
        (tmp_path / stage).mkdir()
        lines = files.path_of(folder, stage, "torch").read_text(encoding="utf-8").splitlines()
        lines = change(lines) if stage == broken else lines
        path = files.path_of(tmp_path, stage, "torch")
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _fails(capsys, text, "report", "--folder", str(tmp_path))


def test_the_names_are_listed_in_the_order_of_the_library():
    torch = pytest.importorskip("torch")
    listed = [n for n in torch.nn.BatchNorm1d(2).state_dict() if n != "num_batches_tracked"]
    assert listed == list(layer_of("torch").names.values())


def test_every_file_of_a_layer_is_known():
    folder = Path(convert.__file__).parent / "layers"
    found = {path.stem for path in folder.glob("[!_]*.py")}
    assert found == {name.replace("-", "_") for name in LAYERS}


def test_the_layers_of_the_recipes_declare_what_the_suite_holds_them_to():
    """Defaults stand once, in the suite's implementations; a function's, in the recipe's own file."""
    for name in LAYERS:
        layer = layer_of(name)
        own = layer.conventions_of_function
        assert (own is None) == (layer.implementation.conventions is not None)
        for function in (layer.make, layer.read):
            assert inspect.getsource(function).startswith("def ")


def test_a_state_is_read_as_it_was_made():
    pytest.importorskip("torch")
    for kind in KINDS:
        state = State(**vars(first(kind)))
        layer = layer_of("torch")
        back = layer.read(layer.make(state.copy(), len(kind.shape), 1))
        assert vars(back).keys() == vars(state).keys()
        for role in ROLES:
            assert getattr(back, role).dtype == kind.dtype
            np.testing.assert_array_equal(getattr(back, role), getattr(state, role))
        assert (back.epsilon, back.rate) == (state.epsilon, state.rate)
