"""What one patient costs as a whole process: wall time, peak memory, and the very first compilation."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def whole_process(request: dict[str, Any], worker: Path, env: dict[str, str]) -> dict[str, str]:
    """Return wall seconds (median of 7, in turn) and peak memory of one patient from files."""
    names = ["radiocard", "PyRadiomics", "PyRadiomics, called well"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peak: dict[str, float] = {}
    for turn in range(8):
        for name in names:
            taken, memory = _once(request, worker, name, env)
            if taken is None:
                continue
            peak[name] = memory
            if turn:
                seconds[name].append(taken)
    return {
        f"one patient, {name}": f"{statistics.median(s):.2f} s, peak {peak[name]:.0f} MB" if s else "not run"
        for name, s in seconds.items()
    }


def cold_start(request: dict[str, Any], worker: Path, env: dict[str, str]) -> dict[str, str]:
    """Return what the first run ever adds, when no machine code is on disk."""
    with tempfile.TemporaryDirectory() as folder:
        first, _ = _once(request, worker, "radiocard", env | {"NUMBA_CACHE_DIR": folder})
        second, _ = _once(request, worker, "radiocard", env | {"NUMBA_CACHE_DIR": folder})
    return {"first run ever, radiocard": f"{first:.1f} s, of which compiling {first - second:.1f} s"}


def _once(request: dict[str, Any], worker: Path, name: str, env: dict[str, str]) -> tuple[float | None, float]:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(worker), name, json.dumps(request)],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - start
    return (taken, float(done.stdout.split()[-1])) if done.returncode == 0 else (None, 0.0)
