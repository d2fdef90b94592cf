"""bnconf explain on tensors made by the frameworks themselves: each mistake of porting is named first."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

import conformance
from conformance.arithmetic import extended
from conformance.case import Case
from conformance.cases import cases_folder, load_cases
from conformance.cli import main
from conformance.errors import UserError
from conformance.explanation import trial
from conformance.explanation.given import canonical
from conformance.explanation.sample import choose
from conformance.judge import Answer, judge
from conformance.precision import PRECISIONS

C = 12


@cache
def tensors() -> dict[str, np.ndarray]:
    """Ordinary activations (8, 12, 12, 12), parameters and running statistics, float32."""
    random = np.random.default_rng(7)
    spread = random.uniform(0.1, 2, (1, C, 1, 1))
    x = random.standard_normal((8, C, C, C)) * spread + random.standard_normal((1, C, 1, 1))
    made = {
        "x": x,
        "gamma": random.uniform(0.5, 1.5, C),
        "beta": random.standard_normal(C),
        "mean": random.standard_normal(C) * 0.5,
        "var": random.uniform(0.3, 3, C),
        "dy": random.standard_normal(x.shape),
    }
    return {name: a.astype(np.float32) for name, a in made.items()}


def torch_norm(x=None, gamma=None, beta=None, mean=None, var=None, epsilon=1e-5, momentum=0.1):
    """F.batch_norm: in inference where statistics are given; y, and the statistics after training."""
    torch = pytest.importorskip("torch")
    given = tensors()
    wrap = torch.tensor
    x, gamma, beta = (
        wrap(given[name]) if a is None else a
        for name, a in (("x", x), ("gamma", gamma), ("beta", beta))
    )
    infers = mean is not None
    with torch.no_grad():
        y = torch.nn.functional.batch_norm(
            x,
            wrap(mean) if infers else None,
            wrap(var) if infers else None,
            gamma,
            beta,
            not infers,
            momentum,
            epsilon,
        )
    return y.float().numpy()


def torch_update(momentum: float) -> dict[str, np.ndarray]:
    """The running statistics before and after one call of F.batch_norm in training."""
    torch = pytest.importorskip("torch")
    given = tensors()
    mean, var = torch.tensor(given["mean"]), torch.tensor(given["var"])
    torch.nn.functional.batch_norm(
        torch.tensor(given["x"]), mean, var, training=True, momentum=momentum
    )
    return {
        "x": given["x"],
        "mean_before": given["mean"],
        "var_before": given["var"],
        "mean_after": mean.numpy(),
        "var_after": var.numpy(),
    }


def keras_style(x, epsilon=1e-3, axes=(0, 1, 2)):
    """tf.nn.batch_normalization by tf.nn.moments, channels last as TensorFlow has them."""
    tf = pytest.importorskip("tensorflow")
    given = tensors()
    mean, var = tf.nn.moments(x, axes, keepdims=True)
    return tf.nn.batch_normalization(x, mean, var, given["beta"], given["gamma"], epsilon).numpy()


def jax_standardize(x):
    """jax.nn.standardize, whose variance is a single-pass one, and the affine part (channels first)."""
    jax = pytest.importorskip("jax")
    given = tensors()
    y = jax.nn.standardize(x, axis=(0, 2, 3), epsilon=1e-5)
    return np.asarray(y * given["gamma"][:, None, None] + given["beta"][:, None, None])


def pick(*names: str) -> dict[str, np.ndarray]:
    return {name: tensors()[name] for name in names}


AFFINE = ("x", "gamma", "beta")
INFERENCE = (*AFFINE, "mean", "var")


def wrong_epsilon():
    return {**pick(*AFFINE), "y": torch_norm(), "epsilon": 1e-3}, "epsilon-1e-05"


def epsilon_of_nobody():
    return {**pick(*AFFINE), "y": torch_norm(epsilon=2.3e-4), "epsilon": 1e-5}, "epsilon-0.00023"


def no_epsilon():
    last = np.moveaxis(tensors()["x"], 1, -1)
    return {**pick(*AFFINE), "x": last, "y": keras_style(last, 0.0), "epsilon": 1e-3}, (
        "epsilon-ignored"
    )


def inverted_momentum():
    return {**torch_update(0.99), "momentum": 0.99}, "momentum-inverted"


def inverted_momentum_of_which_nothing_is_said():
    return torch_update(0.99), "momentum-inverted"


def unbiased_running_variance():
    return {**torch_update(0.1), "momentum": 0.9}, "unbiased-running-variance"


def other_momentum():
    return {**torch_update(0.03), "momentum": 0.1}, "rate-0.03"


def mean_and_variance_swapped():
    given = pick(*INFERENCE)
    given["mean"] = np.abs(given["mean"])
    return {**given, "y": torch_norm(mean=given["var"], var=given["mean"]), "epsilon": 1e-5}, (
        "mean-and-variance-swapped"
    )


def wrong_axis():
    y = torch_norm()  # of x that is channels last: PyTorch takes axis 1
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5, "layout": "NHWC"}, "wrong-axis"


def wrong_axis_of_tensorflow():
    y = keras_style(tensors()["x"], epsilon=1e-5)
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5, "layout": "NCHW"}, "wrong-axis"


def training_for_inference():
    return {**pick(*INFERENCE), "y": torch_norm(), "epsilon": 1e-5}, "batch-statistics"


def inference_for_training():
    given = pick(*INFERENCE)
    y = torch_norm(mean=given["mean"], var=given["var"])
    return {**given, "y": y, "epsilon": 1e-5, "mode": "train"}, "running-statistics"


def folded():
    given = pick(*INFERENCE)
    given["x"], given["mean"] = given["x"] + np.float32(500), given["mean"] + np.float32(500)
    y = torch_norm(
        x=pytest.importorskip("torch").tensor(given["x"]), mean=given["mean"], var=given["var"]
    )
    return {**given, "y": y, "epsilon": 1e-5}, "folded"


def half_model():
    torch = pytest.importorskip("torch")
    x, gamma, beta = (torch.tensor(tensors()[name]).half() for name in AFFINE)
    y = torch_norm(x=x, gamma=gamma, beta=beta)
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5}, "float16-inside"


def bfloat16_x():
    torch = pytest.importorskip("torch")
    y = torch_norm(x=torch.tensor(tensors()["x"]).bfloat16())
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5}, "bfloat16-inside"


def single_pass():
    x = tensors()["x"] + np.float32(100)
    given = {**pick(*AFFINE), "x": x}
    return {**given, "y": jax_standardize(x), "epsilon": 1e-5}, "single-pass-variance"


def stale_statistics():
    updated, given = torch_update(0.1), pick(*AFFINE)
    y = torch_norm(mean=updated["mean_before"], var=updated["var_before"])
    return {**updated, **given, "y": y, "epsilon": 1e-5, "mode": "infer", "momentum": 0.1}, (
        "statistics-before-update"
    )


def initial_statistics():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm2d(C).eval()
    layer.load_state_dict(
        {name: torch.tensor(tensors()[to]) for name, to in (("weight", "gamma"), ("bias", "beta"))},
        strict=False,
    )
    y = layer(torch.tensor(tensors()["x"])).detach().numpy()
    return {**pick(*INFERENCE), "y": y, "epsilon": 1e-5}, "initial-statistics"


def gamma_and_beta_swapped():
    torch = pytest.importorskip("torch")
    given = {name: torch.tensor(tensors()[name]) for name in ("gamma", "beta")}
    y = torch_norm(gamma=given["beta"], beta=given["gamma"])
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5}, "gamma-and-beta-swapped"


def gamma_ignored():
    y = torch_norm(gamma=pytest.importorskip("torch").ones(C))
    return {**pick(*AFFINE), "y": y, "epsilon": 1e-5}, "gamma-ignored"


def epsilon_and_mode():
    y = torch_norm(epsilon=1e-3)
    return {**pick(*INFERENCE), "y": y, "epsilon": 1e-5}, "batch-statistics"


def gradient_of_inference():
    torch = pytest.importorskip("torch")
    given = {name: torch.tensor(a) for name, a in tensors().items()}
    given["x"].requires_grad_()
    mean, var = (
        given["x"].detach().mean((0, 2, 3)),
        given["x"].detach().var((0, 2, 3), correction=0),
    )
    y = torch.nn.functional.batch_norm(given["x"], mean, var, given["gamma"], given["beta"])
    y.backward(given["dy"])
    return {**pick("x", "gamma", "dy"), "dx": given["x"].grad, "epsilon": 1e-5}, (
        "statistics-held-constant"
    )


MISTAKES = (
    wrong_epsilon,
    epsilon_of_nobody,
    no_epsilon,
    inverted_momentum,
    inverted_momentum_of_which_nothing_is_said,
    unbiased_running_variance,
    other_momentum,
    mean_and_variance_swapped,
    wrong_axis,
    wrong_axis_of_tensorflow,
    training_for_inference,
    inference_for_training,
    folded,
    half_model,
    bfloat16_x,
    single_pass,
    stale_statistics,
    initial_statistics,
    gamma_and_beta_swapped,
    gamma_ignored,
    epsilon_and_mode,
    gradient_of_inference,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_named_first(mistake):
    given, name = mistake()
    explained = conformance.explain(**given)
    assert explained.name == name
    assert str(explained).startswith(name)
    assert explained.verdict != "conforms"
    assert explained.advice
    assert explained.findings[0].own_ratio <= explained.findings[0].limit


def test_both_departures_are_told_and_mended():
    explained = conformance.explain(**epsilon_and_mode()[0])
    assert "epsilon 0.001, not 1e-05" in " ".join(str(explained).split())
    assert any("model.eval()" in line for line in explained.advice)
    assert any("eps=" in line for line in explained.advice)


def test_what_single_pass_variance_might_lose_hides_no_mistake():
    torch = pytest.importorskip("torch")
    x = tensors()["x"] + np.float32(100)
    y = torch_norm(x=torch.tensor(x), epsilon=1e-3)
    explained = conformance.explain(**{**pick(*AFFINE), "x": x}, y=y, epsilon=1e-5, layout=1)
    assert explained.name == "epsilon-0.001"


def test_what_a_long_sum_might_lose_hides_no_mistake():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(4).standard_normal((64, 2, 32, 32)).astype(np.float32)
    one, none = torch.ones(2), torch.zeros(2)
    y = torch_norm(x=torch.tensor(x), gamma=one, beta=none)
    explained = conformance.explain(x=x, y=y, epsilon=1e-4, layout=1)
    assert explained.findings[0].ratio < explained.findings[0].limit
    assert explained.name == "epsilon-1e-05"


def test_frameworks_that_agree_differ_by_rounding_alone():
    given = pick(*AFFINE)
    tensorflow = np.moveaxis(keras_style(np.moveaxis(given["x"], 1, -1), epsilon=1e-5), -1, 1)
    for other in (tensorflow, jax_standardize(given["x"])):
        explained = conformance.explain(**given, y=torch_norm(), y2=other)
        assert {finding.verdict for finding in explained.findings} == {"conforms"}
        assert "by rounding alone: both conform" in str(explained)
        assert explained.advice == ()


def test_inference_that_loses_a_digit_is_rounding_and_needs_no_change():
    given = pick(*INFERENCE)
    y = torch_norm(mean=given["mean"], var=given["var"])
    tf = pytest.importorskip("tensorflow")
    shaped = {name: a.reshape(-1, 1, 1) for name, a in given.items() if name != "x"}
    y2 = tf.nn.batch_normalization(
        given["x"], shaped["mean"], shaped["var"], shaped["beta"], shaped["gamma"], 1e-5
    )
    explained = conformance.explain(**given, y=y, y2=y2)
    assert {finding.name for finding in explained.findings} <= {"accurate", "folded"}
    assert "by rounding alone" in " ".join(str(explained).split())
    assert explained.advice == ()


def test_a_y_in_the_other_layout_is_transposed():
    x = tensors()["x"][:, :, :5, :7]
    given = {**pick("gamma", "beta"), "x": x, "y": keras_style(np.moveaxis(x, 1, -1), 1e-5)}
    explained = conformance.explain(**given, epsilon=1e-5)
    assert explained.verdict == "conforms"
    assert "y was taken for channels last and transposed" in " ".join(str(explained).split())


def test_what_is_open_is_found():
    explained = conformance.explain(
        **{**pick(*AFFINE), "x": np.moveaxis(tensors()["x"], 1, -1)},
        y=keras_style(np.moveaxis(tensors()["x"], 1, -1)),
    )
    told = " ".join(str(explained).split())
    assert explained.verdict == "conforms"
    assert "in training, epsilon 0.001, the channels on axis 3" in told
    assert "Tried and rejected" in told


def test_running_statistics_after_the_stated_momentum_conform_in_tensorflow_s_terms():
    pytest.importorskip("tensorflow")
    given = torch_update(0.1)
    m = given["x"].size // C
    var = given["var_before"] * 0.9
    given["var_after"] = var + (given["var_after"] - var) * np.float32((m - 1) / m)
    explained = conformance.explain(**given, momentum=0.9)
    assert (explained.verdict, explained.advice) == ("conforms", ())


def sampled_cases() -> list[tuple[Case, str]]:
    """Every 40th formula of the frozen cases that explain can be asked: one batch, all of y written out."""
    found = [
        (case, key)
        for case in load_cases(cases_folder()).values()
        if case.operation not in ("reject", "dense")
        and "layer" not in case.attributes
        and case.positions is None
        and 0 < case.inputs["x"].size <= 2**12
        and np.any(case.inputs.get("gamma", 1))
        and len(case.attributes.get("batches", (1,))) == 1
        for key in case.expected
    ]
    return found[::40]


def asked(case: Case, outputs) -> dict[str, object]:
    given = {name: np.asarray(a) for name, a in case.inputs.items()} | {"layout": case.channel_axis}
    if case.operation == "update":
        before = {f"{k}_before": given.pop(f"running_{k}") for k in ("mean", "var")}
        after = {f"{k}_after": outputs[f"running_{k}"][0] for k in ("mean", "var")}
        return {**given, **before, **after, "rate": case.attributes["rates"][0]}
    mode = "infer" if "infer" in case.operation else "train"
    return {**given, **outputs, "epsilon": case.epsilon, "mode": mode}


def test_frozen_cases_get_the_judge_s_verdict_name_and_ratio():
    same = total = 0
    for case, key in sampled_cases():
        outputs = {
            name: expectation.value.astype(case.question.precision_of(name).dtype)
            for name, expectation in case.question.expected[key].items()
            if name not in ("mean", "var")
        }
        due = judge(case.question, Answer(outputs))
        finding = conformance.explain(**asked(case, outputs)).findings[0]
        total += 1
        same += (finding.verdict, finding.name) == (due.verdict, due.name)
        if finding.name == due.name and due.ratio is not None and due.ratio < 1e6:
            most = 0.02 * due.ratio + (0.5 if case.dtype == "float64" else 1e-6)
            assert abs(finding.ratio - due.ratio) <= most, (case.id, key)
    assert total > 80
    assert same >= 0.97 * total, f"{same} of {total}"


def test_a_large_float64_offset_is_within_the_margin():
    assert extended.wider_than(PRECISIONS["float32"]).margin == 2.0**-29
    wide = extended.wider_than(PRECISIONS["float64"])
    assert wide is None or wide.margin <= 2.0**-11


def test_without_wider_numbers_balls_are_used_or_the_limits_are_told(monkeypatch):
    random = np.random.default_rng(1)
    x = random.standard_normal((20, 3))
    y = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    monkeypatch.setattr(trial, "wider_than", lambda precision: None)
    explained = conformance.explain(x=x, y=y, epsilon=1e-5)
    assert explained.verdict == "conforms"
    assert "no wider numbers" not in str(explained)
    monkeypatch.setattr(trial.importlib.util, "find_spec", lambda name: None)
    assert "no wider numbers" in str(conformance.explain(x=x, y=y, epsilon=1e-5))


def test_one_wrong_element_of_a_sampled_tensor_is_seen():
    random = np.random.default_rng(2)
    x = random.standard_normal((64, 40, 8, 8)).astype(np.float32)
    y = torch_norm(
        x=pytest.importorskip("torch").tensor(x),
        gamma=pytest.importorskip("torch").ones(40),
        beta=pytest.importorskip("torch").zeros(40),
    )
    assert conformance.explain(x=x, y=y, epsilon=1e-5, layout=1).verdict == "conforms"
    y[33, 17, 3, 5] += 0.01
    explained = conformance.explain(x=x, y=y, epsilon=1e-5, layout=1)
    assert explained.name == "unexplained"
    assert explained.findings[0].ratio > 1000


def test_a_sample_keeps_the_urgent_places_and_whole_channels():
    urgent = (np.array([77, 3]), np.array([9, 2]))
    sample = choose((100, 20), 300, sums=True, urgent=urgent)
    assert {2, 9} <= set(sample.channels)
    assert sample.keep(np.zeros((100, 20))).shape == (100, len(sample.channels))
    matrix = np.arange(2000.0).reshape(100, 20)
    assert {matrix[77, 9], matrix[3, 2]} <= set(sample.at(matrix))
    rows = choose((100, 20), 300, sums=False, urgent=urgent)
    assert {matrix[77, 9], matrix[3, 2]} <= set(rows.at(matrix))
    assert len(rows.channels) == 20


def test_nan_is_told_by_channel():
    given = {**pick(*AFFINE), "x": tensors()["x"].copy()}
    given["x"][1, 3, 2, 2] = np.nan
    y = torch_norm(x=pytest.importorskip("torch").tensor(given["x"]))
    explained = conformance.explain(**given, y=y, epsilon=1e-5)
    assert (explained.verdict, explained.name) == ("policy", "nan")
    assert "x holds NaN or infinity in 1 channel: 3." in str(explained)
    y = torch_norm()
    y[0, 5, 0, 0] = np.inf
    explained = conformance.explain(**pick(*AFFINE), y=y, epsilon=1e-5)
    assert explained.verdict == "wrong"
    assert "y holds NaN or infinity in 1 channel: 5." in str(explained)


def test_an_activation_is_suspected_and_missing_parameters_are_estimated():
    explained = conformance.explain(**pick(*AFFINE), y=np.maximum(torch_norm(), 0), epsilon=1e-5)
    assert explained.name == "unexplained"
    assert "an activation seems to follow" in str(explained)
    explained = conformance.explain(**pick("x"), y=torch_norm(), epsilon=1e-5, layout=1)
    assert f"gamma {tensors()['gamma'][0]:.4g}" in " ".join(str(explained).split())


def test_the_assertion_passes_conforming_y_and_explains_any_other():
    given = pick(*AFFINE)
    conformance.assert_batch_norm(torch_norm(), **given, epsilon=1e-5)
    with pytest.raises(AssertionError, match=r"epsilon 1e-05, not 0\.001"):
        conformance.assert_batch_norm(torch_norm(), **given, epsilon=1e-3)
    last = np.moveaxis(given["x"], 1, -1)
    with pytest.raises(AssertionError, match="wrong-axis"):
        conformance.assert_batch_norm(
            keras_style(last, 1e-5), **{**given, "x": last}, epsilon=1e-5, layout=1
        )


def test_an_accepted_name_passes_the_assertion():
    given, name = folded()
    y = given.pop("y")
    with pytest.raises(AssertionError, match="folded"):
        conformance.assert_batch_norm(y, **given)
    conformance.assert_batch_norm(y, **given, accept=(name,))


def test_tensors_of_frameworks_are_taken_as_they_are():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    given = {name: torch.tensor(a, requires_grad=True) for name, a in pick(*AFFINE).items()}
    y = torch.nn.functional.batch_norm(given["x"], None, None, given["gamma"], given["beta"], True)
    explained = conformance.explain(
        x=jax.numpy.asarray(tensors()["x"]),
        weight=given["gamma"],
        bias=given["beta"],
        y=y,
        eps=1e-5,
    )
    assert explained.verdict == "conforms"
    given["x"] = given["x"].bfloat16()
    y = torch.nn.functional.batch_norm(given["x"], None, None, given["gamma"], given["beta"], True)
    assert y.dtype == torch.bfloat16
    assert conformance.explain(**given, y=y, epsilon=1e-5).verdict == "conforms"


def test_numpy_alone_will_do():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('flint', 'ml_dtypes', 'jinja2', 'jsonschema')));"
        "import numpy as np, conformance; x = np.random.default_rng(0).standard_normal((16, 5));"
        "y = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3);"
        "print(conformance.explain(x=x, y=y).verdict, conformance.explain(x=x, y=y.astype('f2')).verdict)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["conforms", "conforms"]


def test_importing_the_package_brings_nothing_of_this():
    code = "import sys, conformance; sys.exit('numpy' in sys.modules or 'conformance.explanation' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("bn1.weight", "gamma"),
        ("layer.0.running_var", "var"),
        ("moving_mean_before", "mean_before"),
        ("running_variance_after", "var_after"),
        ("Output", "y"),
        ("eps", "epsilon"),
        ("num_batches_tracked", None),
        ("gamma_before", None),
    ],
)
def test_names_that_frameworks_use_are_known(name, known):
    assert canonical(name) == known


X = np.ones((4, 3), np.float32)
BAD = {
    "no x": ({"y": X}, "x is missing"),
    "nothing to explain": ({"x": X}, "nothing to explain"),
    "integers": ({"x": X.astype(int), "y": X}, "x has dtype int64"),
    "shape": ({"x": X, "y": X[:3]}, "y has shape"),
    "lengths": ({"x": X, "y": X, "gamma": X[0], "beta": X[0, :2]}, "lengths differ"),
    "no axis of that length": ({"x": X, "y": X, "gamma": np.ones(5, np.float32)}, "no axis of x"),
    "zero gamma": ({"x": X, "y": X, "gamma": 0 * X[0]}, "proves nothing"),
    "empty": ({"x": X[:0], "y": X[:0]}, "empty"),
    "no channel axis": ({"x": X[0], "y": X[0]}, "needs a batch axis"),
    "objects": ({"x": np.array([[None]]), "y": X}, "x has dtype object"),
    "layout": ({"x": X, "y": X, "layout": "NCHW"}, "does not fit x"),
    "mode": ({"x": X, "y": X, "mode": "test"}, "train or infer"),
    "negative epsilon": ({"x": X, "y": X, "epsilon": -1}, "epsilon is -1"),
    "text for epsilon": ({"x": X, "y": X, "epsilon": "tiny"}, "epsilon is not one number"),
    "momentum": ({"x": X, "y": X, "momentum": 2}, "from 0 to 1"),
    "unknown name": ({"x": X, "y": X, "gama": X[0]}, "gama is not a name"),
    "two names": ({"x": X, "y": X, "gamma": X[0], "weight": X[0]}, "two names of gamma"),
    "mean alone": ({"x": X, "y": X, "mean": X[0]}, "without var"),
    "no dy": ({"x": X, "dx": X}, "dy is missing"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_told_in_a_line(given, message):
    with pytest.raises(UserError, match=message) as raised:
        conformance.explain(**given)
    assert "\n" not in str(raised.value)


def test_the_command_explains_files_and_ends_with_what_to_change(tmp_path, capsys):
    given = {**pick(*AFFINE), "y": torch_norm()}
    np.savez(tmp_path / "layer.npz", comment=np.arange(3), **given)
    assert main(["explain", str(tmp_path / "layer.npz")]) == 0
    assert "Nothing to change." in capsys.readouterr().out
    folder = tmp_path / "arrays"
    folder.mkdir()
    for name in AFFINE:
        np.save(folder / f"{name}.npy", given[name])
    np.save(tmp_path / "made.npy", given["y"])
    call = ["explain", str(folder), "--y", str(tmp_path / "made.npy"), "--epsilon", "1e-3"]
    assert main(call) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("epsilon-1e-05 (wrong): y agrees with epsilon 1e-05, not 0.001 (ratio")
    assert "0.001 is the default of Keras" in out.partition("What to change:")[2]


def test_files_that_cannot_be_read_give_a_line_and_status_2(tmp_path, capsys):
    np.save(tmp_path / "x.npy", tensors()["x"])
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-100])
    (tmp_path / "head.npy").write_bytes(whole[:20])
    (tmp_path / "none.npz").write_bytes(b"PK\x03\x04nothing")
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], dtype=object), y=X)
    np.save(tmp_path / "objects.npy", np.array([None]))
    (tmp_path / "text.txt").write_text("x")
    for name in (
        "short.npy",
        "head.npy",
        "none.npz",
        "objects.npz",
        "objects.npy",
        "text.txt",
        "gone.npz",
    ):
        assert main(["explain", str(tmp_path / name)]) == 2, name
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert str(tmp_path / name) in said.err, said.err


def test_the_program_is_quick_to_start():
    """The command's group must not import what only it needs."""
    code = "import sys; from conformance import cli; cli._parser(); sys.exit('conformance.certify' in sys.modules)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
