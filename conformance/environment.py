"""Where a run takes place: packages and their versions, the machine, the device and its driver."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from conformance.text import one_line


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions; a package that is not a distribution is left out."""
    found = {}
    for package in sorted(set(packages)):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Processor architecture and model, and the operating system."""
    return one_line(f"{platform.machine()}, {_processor()}, {platform.system()}")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def device(kind: str) -> tuple[str, str | None]:
    """The device in words, and the version of its driver: ("cpu", None), ("cuda: NVIDIA ...", "580")."""
    if kind == "cpu":
        return kind, None
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
        name, _, driver = answer.stdout.splitlines()[0].partition(",")
    except (OSError, subprocess.SubprocessError, IndexError):
        return kind, None
    return one_line(f"{kind}: {name.strip()}"), one_line(driver.strip())


def child_environment() -> dict[str, str]:
    """That of a child process: this package can be imported from wherever this one was started, and
    pytest is as it comes."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def memory_available() -> float:
    """Bytes that may be taken before the machine runs short; infinite where nobody tells (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        (kibibytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError):
        return math.inf
    return 1024.0 * int(kibibytes)


def memory_of(process: int) -> int:
    """Bytes of memory that a process holds; 0 where nobody tells."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
