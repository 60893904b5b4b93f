"""Validate the fits of T1, T2 and T2* maps, and write the figures to ``reports/validation/``.

The phantom is not part of radiocard. Give its place in an environment variable::

    RADIOCARD_MOLLI=.../demo_Phantom.mat uv run --no-dev python benchmarks/maps.py

``RADIOCARD_MOLLI`` is a MATLAB file with one MOLLI slice: five images, their inversion times and a T1 map
fitted by others, both in seconds. Everything else is computed here from formulas, with fixed seeds.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from maps_page import page
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.optimize import curve_fit

from radiocard.cardiac.blood import BloodT1
from radiocard.cardiac.ecv import Haematocrit, ecv_map
from radiocard.cardiac.t1 import fit_molli, fit_sasha
from radiocard.cardiac.t2 import fit_t2
from radiocard.cardiac.t2_star import fit_t2_star, fit_t2_star_region
from radiocard.io.store import write_text

Array = NDArray[np.float64]
Figures = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "reports" / "validation"
MOLLI_TIMES = np.array([100.0, 180.0, 1000.0, 1080.0, 1900.0, 1980.0, 2800.0, 3700.0])  # 5(3)3 at 67 beats per minute
SLICE_TIMES = np.array([100.0, 200, 350, 1000, 1100, 1250, 1900, 2000, 2150, 2900, 3800])  # 11 images
SASHA_TIMES = np.array([100.0, 175, 250, 325, 400, 475, 550, 625, 700, np.inf])
PREPARED_TIMES = np.array([0.0, 25.0, 55.0])
ECHO_TIMES = np.array([8.0, 16, 24, 32, 40, 48, 56, 64])
GRE_TIMES = np.array([2.0, 4, 6, 8, 10, 12, 14, 16, 18])
T1_MS = (200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000)
T2_MS = (25, 35, 45, 55, 70, 100, 200)
T2_STAR_MS = (2, 3, 4, 6, 8, 10, 15, 20, 30, 40)
SNR = (20, 50)  # amplitude over the noise of one channel
RATIO = 1.95  # B/A of MOLLI: inversion is not perfect
AMPLITUDE = 100.0
N_NOISY = 2000
N_COMPARED = 200
N_REGIONS, N_PIXELS = 200, 100
FIRST_CALL = """
import time
import numpy as np
from radiocard.cardiac.t1 import fit_molli
times = np.array([100.0, 180.0, 1000.0, 1900.0])
start = time.process_time()
fit_molli(np.abs(90 - 190 * np.exp(-times / 900))[None, None], times)
print(time.process_time() - start)
"""


def molli_signal(t1_ms: Array, times_ms: Array, *, ratio: float = RATIO) -> Array:
    """Return ``A - B exp(-t / T1*)`` with ``T1 = T1* (B/A - 1)``, signed."""
    return AMPLITUDE * (1 - ratio * np.exp(-times_ms * (ratio - 1) / t1_ms[..., None]))


def decay(t_ms: Array, times_ms: Array) -> Array:
    """Return ``A exp(-t / T)``."""
    return AMPLITUDE * np.exp(-times_ms / t_ms[..., None])


def recovery(t_ms: Array, times_ms: Array) -> Array:
    """Return ``A (1 - exp(-t / T))``."""
    return AMPLITUDE - decay(t_ms, times_ms)


def rician(signal: Array, snr: float, seed: int) -> Array:
    """Return the magnitude of a real and an imaginary channel with noise."""
    rng = np.random.default_rng(seed)
    real, imaginary = rng.standard_normal((2, *signal.shape)) * AMPLITUDE / snr
    return np.hypot(signal + real, imaginary)


CURVES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Any], str]] = {
    "MOLLI 5(3)3, 3 parameters": (
        partial(molli_signal, times_ms=MOLLI_TIMES),
        partial(fit_molli, times_ms=MOLLI_TIMES),
        "t1_ms",
    ),
    "MOLLI, 11 images, 3 parameters": (
        partial(molli_signal, times_ms=SLICE_TIMES),
        partial(fit_molli, times_ms=SLICE_TIMES),
        "t1_ms",
    ),
    "SASHA, 2 parameters": (
        partial(recovery, times_ms=SASHA_TIMES),
        partial(fit_sasha, times_ms=SASHA_TIMES, n_parameters=2),
        "t1_ms",
    ),
    "SASHA, 3 parameters": (
        partial(recovery, times_ms=SASHA_TIMES),
        partial(fit_sasha, times_ms=SASHA_TIMES, n_parameters=3),
        "t1_ms",
    ),
    "T2-prepared bSSFP, 3 images": (
        partial(decay, times_ms=PREPARED_TIMES),
        partial(fit_t2, times_ms=PREPARED_TIMES),
        "t2_ms",
    ),
    "T2, 8 echoes, 2 parameters": (
        partial(decay, times_ms=ECHO_TIMES),
        partial(fit_t2, times_ms=ECHO_TIMES),
        "t2_ms",
    ),
    "T2, 8 echoes, with offset": (
        partial(decay, times_ms=ECHO_TIMES),
        partial(fit_t2, times_ms=ECHO_TIMES, with_offset=True),
        "t2_ms",
    ),
    "T2*, 9 echoes": (
        partial(decay, times_ms=GRE_TIMES),
        partial(fit_t2_star, times_ms=GRE_TIMES),
        "t2_star_ms",
    ),
}


def phantom(path: str) -> Figures:
    """Compare the fit of the phantom with the map that others fitted."""
    data = loadmat(path)
    series, offline_s = data["MOLLIT1wTI"][0, 0], data["MOLLIoffLineT1Map"][0]
    images = np.moveaxis(series[:5], 0, -1).astype(np.float64)
    fit = fit_molli(images, 1000.0 * series[5:, 0, 0])
    brightest = images.max(axis=-1)
    compared = (brightest > brightest.max() / 4) & (offline_s > 0.1) & (offline_s < 3.5)
    ours, theirs = fit.t1_ms[compared], 1000.0 * offline_s[compared]
    signed = 100 * (ours / theirs - 1)
    size = np.where(np.isnan(signed), np.inf, np.abs(signed))
    low, median, high, high_95 = np.percentile(size, [25, 50, 75, 95])
    trusted = fit.quality[compared]
    return {
        "n_pixels": int(compared.sum()),
        "n_without_fit": int(np.isnan(ours).sum()),
        "n_not_trusted": int((~trusted).sum()),
        "median_abs_pct": median,
        "iqr_abs_pct": [low, high],
        "p95_abs_pct": high_95,
        "p95_abs_pct_trusted": np.percentile(size[trusted], 95),
        "median_signed_pct": float(np.nanmedian(signed)),
        "median_t1_ms": [float(np.nanmedian(ours)), float(np.median(theirs))],
    }


def noise_free() -> Figures:
    """Return the largest relative error of each fit of its own model."""
    out = {}
    for name, (signal, fit, field) in CURVES.items():
        low, high, n = {"t1_ms": (200, 2000, 1801), "t2_ms": (20, 250, 461), "t2_star_ms": (2, 60, 581)}[field]
        true = np.linspace(low, high, n)
        found = fit(np.abs(signal(true))[None])
        error = 100 * np.abs(getattr(found, field)[0] / true - 1)
        out[name] = {"from_ms": low, "to_ms": high, "n": n, "max_error_pct": error.max()}
        out[name]["n_not_trusted"] = int((~found.quality).sum())
    return out


def noisy(name: str, values_ms: tuple[int, ...]) -> list[Figures]:
    """Return bias and SD of one fit by value and signal-to-noise ratio; the trusted pixels only."""
    signal, fit, field = CURVES[name]
    rows = []
    for value in values_ms:
        row: Figures = {"true_ms": value}
        for snr in SNR:
            found = fit(rician(signal(np.full(N_NOISY, float(value))), snr, seed=value * 100 + snr)[None])
            row[f"snr_{snr}"] = summary(getattr(found, field)[found.quality], value)
        rows.append(row)
    return rows


def summary(found_ms: NDArray[np.floating[Any]], true_ms: float, n: int = N_NOISY) -> Figures:
    """Return bias and scatter [%] of repeated fits, and how many of them were trusted."""
    if found_ms.size < 2:
        return {"bias_pct": None, "sd_pct": None, "trusted_pct": 100 * found_ms.size / n}
    return {
        "bias_pct": 100 * (found_ms.mean() / true_ms - 1),
        "sd_pct": 100 * found_ms.std(ddof=1) / true_ms,
        "trusted_pct": 100 * found_ms.size / n,
    }


def noise_floor() -> list[Figures]:
    """Return bias and SD of T2* with and without cutting off echoes below the noise floor."""
    rows = []
    for value in T2_STAR_MS:
        row: Figures = {"true_ms": value}
        for snr in SNR:
            images = rician(decay(np.full(N_NOISY, float(value)), GRE_TIMES), snr, seed=value * 100 + snr)[None]
            whole = fit_t2_star(images, GRE_TIMES)
            cut = fit_t2_star(images, GRE_TIMES, noise_sd=AMPLITUDE / snr)
            row[f"snr_{snr}_whole"] = summary(whole.t2_star_ms[whole.quality], value)
            row[f"snr_{snr}_cut"] = summary(cut.t2_star_ms[cut.quality], value)
            row[f"snr_{snr}_echoes"] = float(np.median(cut.n_used))
        rows.append(row)
    return rows


def septum() -> list[Figures]:
    """Return bias and SD of T2* from the mean signal of a region, with and without truncation."""
    rows = []
    inside = np.ones((N_PIXELS, 1), dtype=bool)
    for value in T2_STAR_MS:
        row: Figures = {"true_ms": value}
        for snr in SNR:
            signal = decay(np.full((N_REGIONS, N_PIXELS, 1), float(value)), GRE_TIMES)
            for key, noise in (("whole", None), ("cut", AMPLITUDE / snr)):
                fits = [
                    fit_t2_star_region(images, GRE_TIMES, region=inside, noise_sd=noise)
                    for images in rician(signal, snr, seed=value * 100 + snr)
                ]
                found = np.array([fit.t2_star_ms for fit in fits if not fit.reasons])
                row[f"snr_{snr}_{key}"] = summary(found, value, N_REGIONS)
        rows.append(row)
    return rows


def timing() -> Figures:
    """Return processor seconds per slice of 256 x 256 pixels (five runs, warm), and of the first call."""
    rng = np.random.default_rng(0)
    out: Figures = {"slice_s": {}}
    shape, wide = (256, 256), {"t1_ms": (200, 2000), "t2_ms": (20, 250), "t2_star_ms": (2, 60)}
    for name, (signal, fit, field) in CURVES.items():
        images = rician(signal(rng.uniform(*wide[field], shape)), 50, seed=1)
        fit(images)
        seconds = []
        for _ in range(5):
            start = time.process_time()
            fit(images)
            seconds.append(time.process_time() - start)
        out["slice_s"][name] = {"images": images.shape[-1], "best": min(seconds), "median": float(np.median(seconds))}
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"NUMBA_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}
        for key in ("first_call_compiling_s", "first_call_compiled_s"):
            command = [sys.executable, "-c", FIRST_CALL]
            out[key] = float(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    return out


def agreement() -> Figures:
    """Compare the fits with scipy.optimize.curve_fit on noisy pixels."""
    t1 = np.random.default_rng(2).uniform(200, 2000, N_COMPARED)
    t2 = np.random.default_rng(3).uniform(30, 100, N_COMPARED)
    out = {}
    for name, true, times, oracle in (
        ("MOLLI 5(3)3, 3 parameters", t1, MOLLI_TIMES, molli_oracle),
        ("SASHA, 3 parameters", t1, np.minimum(SASHA_TIMES, 1e9), sasha_oracle),
        ("T2, 8 echoes, 2 parameters", t2, ECHO_TIMES, t2_oracle),
    ):
        signal, fit, field = CURVES[name]
        rows = rician(signal(true), 30, seed=4)
        ours = getattr(fit(rows[None]), field)[0]
        theirs = np.array([oracle(times, row, value) for row, value in zip(rows, true, strict=True)])
        apart = 100 * np.abs(ours / theirs - 1)
        out[name] = {
            "n": N_COMPARED,
            "max_difference_pct": float(np.nanmax(apart)),
            "n_within_0.01_pct": int((apart <= 0.01).sum()),
            "n_missing": int(np.isnan(apart).sum()),
        }
    return out


def molli_oracle(times: Array, row: Array, t1: float) -> float:
    """Return T1 of the best of all polarities."""

    def curve(t: Array, a: float, b: float, tau: float) -> Array:
        return a - b * np.exp(-t / tau)

    best = (np.inf, np.nan)
    for n in range(times.size):
        signed = np.where(np.arange(times.size) < n, -row, row)
        try:
            (a, b, tau), _ = fitted(curve, times, signed, (AMPLITUDE, RATIO * AMPLITUDE, t1 / (RATIO - 1)))
        except RuntimeError:
            continue
        best = min(best, (float(((signed - curve(times, a, b, tau)) ** 2).sum()), tau * (b / a - 1)))
    return best[1]


def sasha_oracle(times: Array, row: Array, t1: float) -> float:
    """Return T1 of saturation recovery with three parameters."""
    start = (AMPLITUDE, AMPLITUDE, t1)
    return float(fitted(lambda t, a, b, tau: a - b * np.exp(-t / tau), times, row, start)[0][2])


def t2_oracle(times: Array, row: Array, t2: float) -> float:
    """Return T2 of a decay with two parameters."""
    return float(fitted(lambda t, a, tau: a * np.exp(-t / tau), times, row, (AMPLITUDE, t2))[0][1])


def fitted(curve: Callable[..., Array], times: Array, row: Array, start: tuple[float, ...]) -> Any:
    """Run curve_fit from the truth, tightly, without its warnings about wrong polarities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return curve_fit(curve, times, row, p0=start, xtol=1e-12, ftol=1e-12, gtol=1e-12, maxfev=5000)


def closed_form() -> Figures:
    """Return the largest relative error of ECV where it is known from the concentration of contrast agent."""
    ecv, haematocrit = np.meshgrid(np.linspace(0.15, 0.7, 56), np.linspace(0.2, 0.6, 41), indexing="ij")
    dose, blood_ms, native = 0.0021, 1650.0, 900.0 + 500.0 * ecv
    post = 1 / (1 / native + dose * ecv)
    worst = 0.0
    for column, fraction in enumerate(haematocrit[0]):
        blood = BloodT1(blood_ms, 1 / (1 / blood_ms + dose * (1 - fraction)))
        found = ecv_map(native[:, [column]], post[:, [column]], blood=blood, haematocrit=Haematocrit(float(fraction)))
        worst = max(worst, float(np.abs(found.ecv_pct[:, 0] / (100 * ecv[:, column]) - 1).max()))
    return {"n": ecv.size, "max_relative_error": worst}


def main() -> int:
    """Measure, and write the report."""
    path = os.environ.get("RADIOCARD_MOLLI")
    if not path:
        print("maps: not run (set RADIOCARD_MOLLI)")
        return 0
    figures = {
        "phantom": phantom(path),
        "noise_free": noise_free(),
        "noisy": {
            name: noisy(name, T1_MS if CURVES[name][2] == "t1_ms" else T2_MS)
            for name in CURVES
            if CURVES[name][2] != "t2_star_ms"
        },
        "noise_floor": noise_floor(),
        "septum": septum(),
        "timing": timing(),
        "agreement": agreement(),
        "ecv": closed_form(),
        "setup": {"ratio": RATIO, "n_noisy": N_NOISY, "n_compared": N_COMPARED, "snr": SNR, "n_pixels": N_PIXELS},
        "machine": f"{platform.machine()}, one core, Python {platform.python_version()}, numpy {np.__version__}",
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(figures, indent=1) + "\n", FOLDER / "maps.json")
    write_text(page(figures), FOLDER / "maps.md")
    print(page(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
