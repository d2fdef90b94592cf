"""cases/README.md in code: grades outputs by the case files alone, with nothing of `conformance`."""

import hashlib
import math

import ml_dtypes
import numpy as np

DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def tensor(record, dtype):
    dtype, count = np.dtype(record.get("dtype", dtype)), math.prod(record["shape"])
    if "values" in record:
        return np.array(record["values"], dtype=np.float64).astype(dtype).reshape(record["shape"])
    g = record["generator"]
    if g["name"] == "splitmix64":
        z = np.uint64(g["seed"]) + np.arange(1, count + 1, dtype=np.uint64) * 0x9E3779B97F4A7C15
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
        k = np.int64((z ^ (z >> 31)) >> (64 - g["bits"]))
        k = (k + g["offset"]) ** g.get("power", 1)
    else:
        k = g["offset"] + g["step"] * (np.arange(count) * g["times"] // g["per"] % g["modulus"])
    made = np.ldexp(np.float64(k), g["exponent"]).astype(dtype)
    assert hashlib.sha256(made.tobytes()).hexdigest() == record["sha256"]  # little-endian machines
    return made.reshape(record["shape"])


def ulp(value, dtype):
    size = np.maximum(abs(value), float(ml_dtypes.finfo(dtype).tiny))
    return np.ldexp(1.0, np.frexp(size)[1] - DIGITS[dtype])


@np.errstate(all="ignore")
def grade(family, case, outputs):
    """Verdict and name of the outputs: arrays by name, or None if an error was raised instead."""
    if case["operation"] == "reject":
        return ("conforms", "raises") if outputs is None else ("policy", "accepts")
    policies = [policy for flag in case["flags"] for policy in family["notes"][flag]["policies"]]
    if outputs is None:
        return ("policy" if "raises" in policies else "wrong"), "raises"
    dtype, expected, inputs = case["dtype"], case["expected"], case["inputs"]
    shape, axis = inputs["x"]["shape"], case["layout"].index("C")
    channels = inputs["w"]["shape"][1:] if "w" in inputs else [shape[axis]]
    like_x = [*shape[:1], *channels] if "w" in inputs else shape
    running = [len(case.get("rates", [])), *channels]
    due = {"y": like_x, "dx": like_x, "running_mean": running, "running_var": running}
    if not (names := expected["reference"].keys()) - {"mean", "var"} <= outputs.keys() <= names:
        return "wrong", "outputs"
    may_be = {t.get("dtype", dtype) for name, t in inputs.items() if name != "x"} | {dtype}
    forms = [dtype if n in ("y", "dx") else max(may_be - {dtype}, default=dtype) for n in outputs]
    got, odd = [], []  # the elements of all outputs, and whether they do where no number is due
    for name, array in outputs.items():
        if array.shape != tuple(due.get(name, channels)):
            return "wrong", "shape"
        if array.dtype.name not in (may_be if name in ("y", "dx") else DIGITS):
            return "wrong", "dtype"
        one = array.astype(np.float64)
        chosen = case.get("positions", ...) if name in ("y", "dx") else ...
        instead = (one == 0) & (name in ("dx", "dgamma")) | ~np.isfinite(one)
        if name == "y":
            beta = tensor(inputs["beta"], dtype).reshape(-1, *[1] * (len(shape) - axis - 1))
            instead |= np.abs(one - beta) <= ulp(beta.astype(np.float64), dtype)
        got, odd = [*got, *one.ravel()[chosen]], [*odd, *instead.ravel()[chosen]]
    got, odd, u = np.array(got), np.array(odd, bool), 2.0 ** -max(24, DIGITS[dtype])
    rows = max(case.get("batches", shape[:1])) * (math.prod(shape[1:]) // shape[axis])
    most = max(4, math.sqrt(rows) * (case["operation"] != "infer"))

    def follow(key, undefined=True):
        pairs = list(zip((expected[key][name] for name in outputs), forms, strict=True))
        value, scale = np.hstack([np.array([p["value"], p["scale"]], float) for p, _ in pairs])
        half = np.hstack([ulp(np.array(p["value"], float), form) / 2 for p, form in pairs])
        none, error = np.isnan(value), np.where(np.isnan(got), np.inf, np.abs(got - value))
        free = odd & (undefined | (family["formulas"].get(key, {}).get("verdict") != "wrong"))
        ratio = np.where(scale == np.inf, 0, error / (u * scale + np.maximum(half, 2.0**-1074)))
        rounded, worst = error <= 2 * half, ratio[~none].max(initial=0)
        return np.where(none, free | ~np.isfinite(got), ratio <= most), rounded, none, worst

    followed, _, none, worst = follow("reference")
    exact = followed.all() and not none.any()
    kinds = {"nan": np.isnan(got[none]), "infinity": np.isinf(got[none]), "beta": True}
    wide = [a for n, a in outputs.items() if n in ("y", "dx") and a.dtype.name != dtype]
    named = [(family["formulas"][k], *follow(k, none)) for k in expected if k != "reference"]
    named = [n for n in named if n[0]["verdict"] != "wrong" or (~n[3] & ~followed).any()]
    policy, others = ([n for n in named if (n[0]["verdict"] == "policy") == is_] for is_ in (1, 0))
    spared = sum(((none | gone) & within for _, within, _, gone, _ in policy), np.zeros_like(none))
    rules = [  # verdict, name, and what must hold everywhere; the first that does is the answer
        ("convention", "promoted-output", bool(wide) and exact),
        ("conforms", "accurate" if worst <= 4 else "stable", exact),
        ("policy", next(kind for kind, seen in kinds.items() if np.any(seen)), followed),
        *(("policy", formula["name"], followed | within) for formula, within, *_ in policy),
        ("policy", "nan", "nan" in policies and followed | np.isnan(got)),
        *((one["verdict"], one["name"], rounded | spared) for one, _, rounded, *_ in others),
        *((one["verdict"], one["name"], within | spared) for one, within, *_ in others),
        ("inaccurate", "unexplained", (odd | ~none) & (worst <= 1 / math.sqrt(u))),
        ("wrong", "unexplained", True),
    ]
    return next((verdict, name) for verdict, name, holds in rules if np.all(holds))
