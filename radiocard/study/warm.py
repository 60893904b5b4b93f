"""Compile every kernel once, so that no later run has to wait for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from radiocard.cardiac.t1 import fit_molli
from radiocard.features.extract import extract_region
from radiocard.features.registry import MATRICES
from radiocard.image import Image
from radiocard.jit.kernel import Kernel
from radiocard.specs import FeatureSpec, parse_as, read_spec

_FAMILIES = ("shape_3d", "shape_2d", "local_intensity", "intensity", "histogram", "ivh")
_AGGREGATIONS = {
    "ibsi": ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"),
    "pyradiomics": ("2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"),
}
_FILTERS = (
    {"kind": "original"},
    {"kind": "pyradiomics_log", "sigma_mm": (2,)},
    {"kind": "pyradiomics_wavelet", "wavelet": "haar", "start_level": 0, "level": 1, "dimension": "3d"},
)


@dataclass(frozen=True)
class Warmed:
    """What compiling has given.

    Parameters
    ----------
    seconds : float
        Time it took; little if the machine code was there already.
    kernels : tuple of str
        Kernels, as ``module.function``.
    lost : tuple of str
        Those of them that could not be kept.
    folders : tuple of Path
        Where the machine code lies.
    """

    seconds: float
    kernels: tuple[str, ...]
    lost: tuple[str, ...]
    folders: tuple[Path, ...]


def warm() -> Warmed:
    """Compile all kernels: describe a tiny region with every family in both conventions, filter it, fit one curve.

    Returns
    -------
    Warmed
        Time, kernels, and where their machine code is kept for later processes.
    """
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    image = Image(rng.integers(0, 9, (14, 12, 6)).astype(float), np.diag([1.5, 1.5, 8.0, 1.0]))
    mask = np.zeros(image.array.shape, dtype=bool)
    mask[2:-2, 2:-2, 1:-1] = True
    for spec in _specs():
        extract_region(image, mask, spec)
    fit_molli(image.array[2:3, 2:3], 100.0 + 500.0 * np.arange(image.array.shape[2]))
    seconds = time.perf_counter() - start
    kept = {kernel.name: kernel.kept_in for kernel in _kernels()}
    lost = tuple(sorted(name for name, folder in kept.items() if folder is None))
    return Warmed(seconds, tuple(sorted(kept)), lost, tuple(sorted(filter(None, set(kept.values())))))


def state() -> Literal["ready", "missing", "not kept"]:
    """Say whether the machine code of all kernels is on disk.

    Returns
    -------
    {'ready', 'missing', 'not kept'}
        ``not kept`` where no folder can be written, so that each process compiles anew.
    """
    kernels = list(_kernels())
    if all(kernel.kept_in for kernel in kernels):
        return "ready"
    return "missing" if all(kernel.can_be_kept for kernel in kernels) else "not kept"


def _specs() -> Iterator[FeatureSpec]:
    for convention, aggregation in _AGGREGATIONS.items():
        families = [f for f in (*_FAMILIES, *sorted(MATRICES)) if convention == "ibsi" or f not in {"ivh", "gldzm"}]
        own = {
            "name": "warm",
            "description": "Every family.",
            "convention": convention,
            "families": families,
            "normalisation": {"method": "none", "within": "labelled"},
            "filters": _FILTERS if convention == "pyradiomics" else _FILTERS[:1],
            "ivh": {"method": "none"} if "ivh" in families else None,
            "texture": {"aggregation": aggregation, "distances": [1], "weighting": "none", "coarseness": 0},
        }
        yield parse_as(FeatureSpec, read_spec("cine_sax").settings() | own, "warm")


def _kernels() -> Iterator[Kernel]:
    """Yield every kernel of the modules that are loaded, each once; parts of kernels are compiled with them."""
    for name, module in list(sys.modules.items()):
        if name.startswith("radiocard."):
            for thing in vars(module).values():
                if isinstance(thing, Kernel) and thing.function.__module__ == name:
                    yield thing
