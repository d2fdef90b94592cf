"""The sessions of continuous integration: `nox` runs every framework and makes the report."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import nox

FRAMEWORKS = (
    "numpy",
    "tensorflow",
    "torch",
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
)
FORMULA = (
    "numpy",
    "tf.nn.batch_normalization",
    "torch.nn.functional.batch_norm",
    "jax.numpy-jit",
)
RECIPES = {
    "keras": ("keras",),
    "torch": ("torch",),
    "flax": ("flax-linen", "flax-nnx"),
    "tensorflow": ("tensorflow",),
    "onnxruntime": ("onnxruntime",),
    "haiku": ("haiku",),
    "equinox": ("equinox",),
    "paddle": ("paddle",),
    "mlx": ("mlx",),
    "tinygrad": ("tinygrad",),
}
RESULTS = Path("reports/results")

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
nox.options.sessions = [*FRAMEWORKS, "report"]


def install(session: nox.Session, *extras: str) -> None:
    """Install the package in place with the tested versions, unless that has been done before."""
    wanted = Path("pyproject.toml").read_bytes() + Path("constraints.txt").read_bytes()
    stamp = Path(session.virtualenv.location) / "installed"
    digest = hashlib.sha256(wanted + repr(extras).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    package = f".[{','.join(extras)}]" if extras else "."
    session.install("--quiet", "--constraint", "constraints.txt", "--editable", package)
    stamp.write_text(digest)


def run_framework(session: nox.Session) -> None:
    """Run one framework on all cases; leave its results.

    What Inductor and XLA compiled is kept beside the environment: the first run is the long one.
    """
    framework = session.name
    install(session, "half", *([] if framework == "numpy" else [framework]))
    kept = Path(session.virtualenv.location).resolve()
    session.env["TORCHINDUCTOR_CACHE_DIR"] = str(kept / "inductor")
    session.env["JAX_COMPILATION_CACHE_DIR"] = str(kept / "xla")
    session.env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    session.env["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={kept / 'tf-xla'}"
    out = str(RESULTS / f"{framework}.jsonl")
    how = ("--impl", framework, "--timeout", "300", "--out", out)
    session.run("bnconf", "run", *how, *session.posargs)


for name in FRAMEWORKS:
    nox.session(run_framework, name=name)


@nox.session(venv_backend="none")
def recipes(session: nox.Session) -> None:
    """Train a layer in each framework's environment, take it over in all others, and make the page."""
    pythons = {name: Path(".nox") / name / "bin" / "python" for name in RECIPES}
    if missing := [name for name, python in pythons.items() if not python.exists()]:
        session.error(f"run the sessions that make their environments first: {' '.join(missing)}")
    for stage in ("train", "port"):
        for name, layers in RECIPES.items():
            how = [f"--layer={layer}" for layer in layers]
            command = [str(pythons[name]), "-m", "conformance", "recipes", stage, *how]
            session.run(*command, external=True)
    session.run(str(pythons["torch"]), "-m", "conformance", "recipes", "report", external=True)


@nox.session
def gpu(session: nox.Session) -> None:
    """All that runs on an NVIDIA GPU, if there is one; what the frameworks need is installed."""
    if shutil.which("nvidia-smi") is None:
        session.log("no NVIDIA GPU here (nvidia-smi is missing): nothing was run")
        return
    session.install("--quiet", "--editable", ".[half,cuda]")
    out = RESULTS / "cuda.jsonl"
    session.run("bnconf", "run", "--device", "cuda", "--out", str(out), *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Make the compatibility report from the results that lie there."""
    install(session, "report")
    session.run("bnconf", "report", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests of the suite itself, and a conformance run of the formula in each of the four frameworks."""
    install(session, "all", "test", "onnxruntime")
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs)
    session.run("bnconf", "run", *(f"--impl={name}" for name in FORMULA))


@nox.session
def prove(session: nox.Session) -> None:
    """Every known mistake is noticed, and no right kernel accused."""
    install(session, "proof")
    session.run("bnconf", "prove", *session.posargs)


@nox.session
def cases(session: nox.Session) -> None:
    """Certify the frozen cases anew, and see that building them changes nothing."""
    install(session, "cases")
    session.run("bnconf", "cases", "verify")
    session.run("bnconf", "cases", "build")
    session.run("git", "diff", "--exit-code", "--stat", "cases", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    install(session, "cases", "report", "half", "test", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """The suite's own cost beside the bare calls."""
    install(session, "all")
    session.run("bnconf", "bench", *session.posargs)
