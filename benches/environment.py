"""What ran where: the interpreter, the machine, the loops that are installed."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

from loops import (
    LOOP_NAMES,
    ON_REQUEST,
    PATCHED_LOOP_NAMES,
    STOCK,
    loop_version,
    missing_loops,
)

SLOWING_VARIABLES = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONMALLOC"}


def describe(loops: list[str]) -> dict[str, Any]:
    """Without this the figures mean nothing."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": f"CPython {platform.python_version()} ({interpreter_build()})",
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "loops": {name: loop_version(name) for name in loops if name != STOCK},
    }


def interpreter_build() -> str:
    """Stock's own speed, and so every factor, depends on how the interpreter was compiled."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = "with" if "--enable-optimizations" in arguments else "without"
    shared = "shared" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "static"
    return f"{optimised} profile-guided optimisation, {shared}"


def cpu_model() -> str:
    """The first `model name` of /proc/cpuinfo (proc_cpuinfo(5)); some machines have none."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def plain_environment() -> dict[str, str]:
    """The environment of a measurement, without what slows an interpreter down."""
    return {name: value for name, value in os.environ.items() if name not in SLOWING_VARIABLES}


def names(text: str) -> list[str]:
    """The names of an option: `a,b`."""
    return [name for name in text.replace(" ", "").split(",") if name]


def available_loops(asked: list[str] | None) -> list[str]:
    """A loop that was asked for by name must be there; of the default ones, say which is not."""
    known = (*LOOP_NAMES, *PATCHED_LOOP_NAMES, *ON_REQUEST)
    unknown = set(asked or []) - set(known)
    if unknown:
        sys.exit(f"no such loop: {', '.join(sorted(unknown))}. There are {', '.join(known)}.")
    wanted = list(asked or LOOP_NAMES)
    missing = missing_loops(wanted)
    for name, reason in missing.items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
    if asked and missing:
        sys.exit(1)
    return [name for name in wanted if name not in missing]
