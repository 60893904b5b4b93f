"""Time the native engine against its peers, in turn, in one run; one thread, warm, new noise each round.

::

    uv run --group parity python benchmarks/engines.py [--rounds 15] [--write]

Every engine runs in a process of its own, so that peers which need another Python can take part:
``RADIOCARD_PEER_PYTHON`` names an interpreter that has pictologics, nyxus or MIRP. What is not
installed is listed as not run. ``--write`` writes the table and the plot to ``reports/validation/``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from engine_process import cold_start, whole_process
from ruamel.yaml import YAML

from radiocard.image import Image
from radiocard.io.nifti import write_image
from radiocard.io.store import write_bytes, write_json, write_text

FOLDER = Path(__file__).parents[1] / "reports" / "validation"
WORKER = Path(__file__).with_name("engine_worker.py")
CLASSES = ("firstorder", "shape", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
TASKS = {
    "cardiac": "one myocardium of 11,000 voxels, all PyRadiomics classes",
    "isotropic": "a myocardium at 1.5 mm isotropic, 47,000 voxels",
    "filters": "original, 8 wavelets and 3 LoG",
    "patient": "one patient from files: ED and ES, three labels",
}
PEERS = ("PyRadiomics", "PyRadiomics, called well", "pictologics", "nyxus", "MIRP")
SLOW = {"nyxus": 3, "MIRP": 1}
ONLY = {"nyxus": ("cardiac", "isotropic"), "MIRP": ("cardiac",)}
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
)


class Worker:
    """An engine in its own process."""

    def __init__(self, name: str) -> None:
        self.name = name
        foreign = name in {"pictologics", "nyxus", "MIRP"}
        python = os.environ.get("RADIOCARD_PEER_PYTHON", sys.executable) if foreign else sys.executable
        self.process = subprocess.Popen(
            [python, str(WORKER), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | ONE_THREAD,
        )
        line = self._line()
        self.version = json.loads(line)["version"] if line.startswith("{") else None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self._line()
        return json.loads(line) if line else {"error": "the process ended"}

    def _line(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return line
        return ""


def ring(shape: tuple[int, int, int], inner: float, outer: float) -> np.ndarray:
    """Return a tapering ring in the slice plane, as the myocardium of a short-axis stack."""
    i, j, k = np.indices(shape)
    radius = np.hypot(i - shape[0] / 2, j - shape[1] / 2)
    taper = 1 - 0.4 * (k / max(shape[2] - 1, 1)) ** 2
    return np.asarray((radius < outer * taper) & (radius >= inner * taper))


def ball(n: int) -> np.ndarray:
    """Return a ragged ball of about n voxels."""
    radius = (3 * n / (4 * np.pi)) ** (1 / 3)
    side = int(2 * radius) + 12
    i, j, k = np.indices((side, side, side)) - side / 2
    angle = np.arctan2(j, i)
    return np.asarray(np.sqrt(i**2 + j**2 + k**2) < radius * (1 + 0.08 * np.sin(5 * angle)))


def picture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return smooth grey values with noise, 12-bit magnitude MR in range and grain."""
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=shape)
    for axis in range(3):
        smooth = smooth + np.roll(smooth, 1, axis) + np.roll(smooth, 2, axis)
    return np.clip(np.round(300 + 25 * smooth + rng.normal(scale=20, size=shape)), 0, 4095).astype(np.int16)


def written(folder: Path, name: str, array: np.ndarray, spacing: tuple[float, float, float]) -> str:
    """Write one NIfTI file and return its path."""
    path = folder / f"{name}.nii.gz"
    write_image(path, Image(array, np.diag([*spacing, 1.0])))
    return str(path)


def requests(task: str, folder: Path, seed: int, parameters: dict[str, str]) -> dict[str, Any]:
    """Write the files of one round."""
    out: dict[str, Any] = {"task": task, "parameters": parameters["filters" if task == "filters" else "original"]}
    if task == "isotropic":
        mask, spacing = np.pad(ring((76, 76, 57), 21, 28), 6), (1.5, 1.5, 1.5)
        out["image"] = written(folder, "image", picture(mask.shape, seed), spacing)
        out["mask"] = written(folder, "mask", mask.astype(np.uint8), spacing)
        return out
    shape, spacing = (216, 256, 10), (1.4, 1.4, 8.0)
    myocardium, cavity = ring(shape, 22, 31), ring(shape, 0, 22)
    if task != "patient":
        out["image"] = written(folder, "image", picture(shape, seed), spacing)
        out["mask"] = written(folder, "mask", myocardium.astype(np.uint8), spacing)
        return out
    labels = np.where(cavity, 3, np.where(myocardium, 2, 0)).astype(np.uint8)
    labels[np.roll(ring(shape, 0, 24), -40, axis=0) & (labels == 0)] = 1
    out["files"] = []
    for n, phase in enumerate(("ed", "es")):
        image = written(folder, f"image_{phase}", picture(shape, 2 * seed + n), spacing)
        out["files"].append((phase, image, written(folder, f"mask_{phase}", labels, spacing)))
    return out


def run(workers: list[Worker], rounds: int, parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return per task and engine the seconds of each round; the first round is not counted."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        for task in TASKS:
            found[task] = {w.name: {"seconds": [], "error": None} for w in workers if task in ONLY.get(w.name, TASKS)}
            for turn in range(rounds + 1):
                request = requests(task, Path(name), 1000 + turn, parameters)
                for worker in workers[turn % len(workers) :] + workers[: turn % len(workers)]:
                    entry = found[task].get(worker.name)
                    if entry is None or entry["error"] or turn > SLOW.get(worker.name, rounds):
                        continue
                    answer = worker.ask(request)
                    entry["error"] = answer.get("error")
                    if turn and "seconds" in answer:
                        entry["seconds"].append(answer["seconds"])
            print(
                task,
                {k: v["error"] or f"{1000 * statistics.median(v['seconds']):.1f} ms" for k, v in found[task].items()},
            )
    return found


def growth(worker: Worker, peer: Worker, parameters: dict[str, str], folder: Path) -> dict[str, list[dict[str, float]]]:
    """Return milliseconds by the number of voxels (width 25), and by the number of bins (10,000 voxels)."""
    out: dict[str, list[dict[str, float]]] = {"voxels": [], "bins": []}

    def timed(request: dict[str, Any]) -> dict[str, float]:
        return {w.name: 1000 * statistics.median(w.ask(request)["seconds"] for _ in range(4)) for w in (worker, peer)}

    for n in (500, 2_000, 8_000, 32_000, 128_000):
        mask = ball(n)
        request = {"task": "cardiac", "parameters": parameters["original"]}
        request["image"] = written(folder, "image", picture(mask.shape, n), (1.0, 1.0, 1.0))
        request["mask"] = written(folder, "mask", mask.astype(np.uint8), (1.0, 1.0, 1.0))
        out["voxels"].append({"x": int(mask.sum())} | timed(request))
    request = requests("cardiac", folder, 7, parameters)
    for bins in (8, 16, 32, 64, 128, 256):
        out["bins"].append({"x": bins} | timed(request | {"parameters": parameter_file(folder, binCount=bins)}))
    return out


def parameter_file(folder: Path, **settings: Any) -> str:
    """Write a PyRadiomics parameter file with all classes."""
    images = {"Original": {}}
    if settings.pop("filters", False):
        images |= {"Wavelet": {}, "LoG": {"sigma": [1.0, 2.0, 3.0]}}
    data = {"imageType": images, "featureClass": {c: [] for c in CLASSES}, "setting": settings}
    path = folder / f"parameters{len(list(folder.glob('parameters*')))}.yaml"
    YAML(typ="safe").dump(data, path)
    return str(path)


def table(found: dict[str, Any], versions: dict[str, str], rounds: int, process: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [
        "# Speed of the feature engine",
        "",
        f"{rounds} rounds in turn (nyxus {SLOW['nyxus']}, MIRP {SLOW['MIRP']}), one thread, warm; new noise and new"
        " objects each round. Median milliseconds (first to third quartile), and how many times radiocard's, round by"
        " round: the median.",
        "",
        "The work is that of PyRadiomics' classes with PyRadiomics' settings; PyRadiomics and radiocard give the same"
        " values. pictologics computes the same families with its own definitions, and bins filtered images into 16"
        " levels. nyxus and MIRP read files and compute all features that they have.",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        + "; ".join(f"{name} {number or 'not run (not installed)'}" for name, number in versions.items()),
        "",
    ]
    for task, title in TASKS.items():
        lines += [f"## {title[0].upper()}{title[1:]}", "", "| engine | ms | times radiocard |", "|---|---|---|"]
        ours = found[task]["radiocard"]["seconds"]
        for name, entry in found[task].items():
            times = entry["seconds"]
            if entry["error"] or not times:
                lines.append(f"| {name} | failed: {entry['error']} | |")
                continue
            low, middle, high = np.percentile(times, [25, 50, 75]) * 1000
            ratio = statistics.median(b / a for a, b in zip(ours, times, strict=False))
            lines.append(f"| {name} | {middle:.1f} ({low:.1f} to {high:.1f}) | {ratio:.1f} |")
        lines.append("")
    lines += ["## As whole processes", "", "| what | figure |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in process.items()]
    lines += ["", "![How cost grows](engines.svg)", ""]
    return "\n".join(lines)


def plot(grown: dict[str, list[dict[str, float]]]) -> bytes:
    """Draw milliseconds by voxels and by bins."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (what, rows) in zip(figure.subplots(1, 2, sharey=True), grown.items(), strict=True):
        for name in [key for key in rows[0] if key != "x"]:
            axes.loglog([r["x"] for r in rows], [r[name] for r in rows], "o-", label=name)
        axes.set_xlabel("voxels in the region" if what == "voxels" else "grey levels (10,000 voxels)")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("milliseconds per region")
    figure.axes[0].legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def main() -> None:
    """Run everything and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write to reports/validation/")
    options = parser.parse_args()
    workers = [Worker(name) for name in ("radiocard", *PEERS)]
    versions = {worker.name: worker.version for worker in workers}
    workers = [worker for worker in workers if worker.version]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = {"original": parameter_file(folder), "filters": parameter_file(folder, filters=True)}
        found = run(workers, options.rounds, parameters)
        grown = growth(workers[0], workers[min(1, len(workers) - 1)], parameters, folder)
        request = requests("patient", folder, 3, parameters)
        process = whole_process(request, WORKER, ONE_THREAD) | cold_start(request, WORKER, ONE_THREAD)
    text = table(found, versions, options.rounds, process)
    print(text)
    if options.write:
        write_text(text, FOLDER / "engines.md")
        write_json(
            {"versions": versions, "rounds": options.rounds, "tasks": found, "growth": grown}, FOLDER / "engines.json"
        )
        write_bytes(plot(grown), FOLDER / "engines.svg")


if __name__ == "__main__":
    main()
