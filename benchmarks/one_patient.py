"""Time one simulated patient: native engine against PyRadiomics, and image to report as a whole process.

::

    uv run --group parity python benchmarks/one_patient.py

Both engines run the same specification (``cine_sax_pyradiomics``) on the same three regions at
two phases, in turn, with fresh noise each round. Without PyRadiomics the ratio is not run. The
report is a process of its own, from NIfTI files to HTML, one core, a model of 30 patients.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from radiocard.features.extract import extract_case_texture
from radiocard.image import Case, Image
from radiocard.io.cohort import write_manifest_cohort
from radiocard.models.persist import save_model
from radiocard.simulate.cohort import simulate_cohort
from radiocard.specs import FeatureSpec, parse_as, read_recipe, read_spec, read_task
from radiocard.study.extract import extract
from radiocard.study.train import read_plan, train_with_evidence

ROUNDS = 7


def noisy(case: Case, seed: int) -> Case:
    """Return the case with new noise, in new objects."""
    rng = np.random.default_rng(seed)
    images = {
        key: Image(image.array + rng.integers(-3, 4, image.array.shape), image.affine)
        for key, image in case.images.items()
    }
    return replace(case, images=images)


def engines(case: Case) -> None:
    """Print the median of each engine and the median of the ratios, pair by pair."""
    native = parse_as(
        FeatureSpec,
        read_spec("cine_sax_pyradiomics").settings() | {"name": "n", "description": "", "engine": "native"},
        "n",
    )
    peer = parse_as(FeatureSpec, native.settings() | {"name": "p", "description": "", "engine": "pyradiomics"}, "p")
    if find_spec("radiomics") is None:
        print("PyRadiomics: not run (not installed)")
        return
    seconds: dict[str, list[float]] = {"native": [], "pyradiomics": []}
    for turn in range(ROUNDS + 1):
        for name, spec in (("native", native), ("pyradiomics", peer)):
            fresh = noisy(case, turn)
            start = time.perf_counter()
            extract_case_texture(fresh, spec)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(seconds["native"], seconds["pyradiomics"], strict=True)]
    for name, values in seconds.items():
        print(f"{name:<12} median {1000 * statistics.median(values):7.1f} ms per patient (6 region-phases)")
    print(f"ratio        median {statistics.median(ratios):.1f} (range {min(ratios):.1f} to {max(ratios):.1f})")
    print(f"PyRadiomics {version('pyradiomics')}, numpy {version('numpy')}, {ROUNDS} rounds in turn")


def report_process(folder: Path) -> None:
    """Print wall time and peak memory of ``radiocard report`` as a process."""
    patients = [p.case for p in simulate_cohort(per_class=7, seed=21)]
    training = write_manifest_cohort(patients[:-1], folder / "training")
    newcomer = write_manifest_cohort(patients[-1:], folder / "new")
    model, _, _ = train_with_evidence(
        extract(training),
        target="diagnosis",
        task=read_task("cine"),
        recipes=[read_recipe("rf")],
        pool="physiology",
        plan=read_plan("demo"),
    )
    save_model(model, folder / "heart.model")
    command = [sys.executable, "-m", "radiocard.cli", "report", str(folder / "heart.model"), str(newcomer)]
    command += ["--patient", patients[-1].patient_id, "-o", str(folder / "report.html")]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"report       median {statistics.median(times):.1f} s, peak {peak:.0f} MB (image and mask to patient report)"
    )


if __name__ == "__main__":
    engines(simulate_cohort(per_class=1, seed=21)[0].case)
    with tempfile.TemporaryDirectory() as name:
        report_process(Path(name))
