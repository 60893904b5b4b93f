"""T1, ECV and T2 maps of a simulated heart: tissues, partial volume, noise.

A pixel that holds several tissues gets the mean of their values by volume. Lung and air give no T1, as on a
scanner: values there are noise. The ECV map is computed from the two noisy T1 maps, the true T1 of blood and the
haematocrit [1]_.

References
----------
.. [1] Arheden et al., Radiology 211 (1999) 698, doi:10.1148/radiology.211.3.r99jn41698
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from radiocard.simulate.chest import field
from radiocard.simulate.grid import Float32
from radiocard.simulate.heart import Float
from radiocard.simulate.map_structure import WallValues

_LUNG_SIGNAL = (0.10, 0.22)  # of the painted chest: below is lung or air, above is tissue


@dataclass(frozen=True)
class MapSite:
    """One scanner; the same for every group.

    Parameters
    ----------
    name, vendor : str
        Labels of the clinical table.
    pixel_mm : float
        In-plane spacing.
    t1_offset_ms : float
        What this scanner adds to native T1 of the myocardium, and half as much again to that of blood.
    noise_ms, noise_post_ms, noise_t2_ms : float
        Standard deviation of the noise of the three maps at 3 T within tissue.
    sharpness_mm : float
        In-plane blur.
    """

    name: str
    vendor: str
    pixel_mm: float
    t1_offset_ms: float
    noise_ms: float
    noise_post_ms: float
    noise_t2_ms: float
    sharpness_mm: float


MAP_SITES = (
    MapSite("A", "Vendor 1", 1.40, 0.0, 34.0, 13.0, 2.4, 0.6),
    MapSite("B", "Vendor 2", 1.50, 24.0, 42.0, 16.0, 3.0, 0.8),
    MapSite("C", "Vendor 3", 1.30, -28.0, 38.0, 14.0, 2.7, 0.6),
)


class Blood(NamedTuple):
    """T1 of blood on the scanner [ms], and haematocrit [%]."""

    native_ms: float
    post_ms: float
    haematocrit_pct: float

    def post_contrast(self, native_ms: Float, ecv_pct: Float) -> Float:
        """Return the T1 after contrast agent of a tissue with some ECV [ms]."""
        return 1 / (1 / native_ms + ecv_pct / 100 / (1 - self.haematocrit_pct / 100) * self._change())

    def ecv_pct(self, native_ms: Float, post_ms: Float) -> Float:
        """Return the ECV of a tissue with some T1 before and after contrast agent [%]."""
        return 100 * (1 - self.haematocrit_pct / 100) * (1 / post_ms - 1 / native_ms) / self._change()

    def _change(self) -> float:
        return 1 / self.post_ms - 1 / self.native_ms


class ChestTissue(NamedTuple):
    """T1 and T2 by the signal of :func:`radiocard.simulate.chest.paint_chest`: muscle, liver, spleen, fat, blood."""

    signal: tuple[float, ...] = (0.26, 0.30, 0.34, 0.41, 0.55, 0.75, 0.90)
    native_3t_ms: tuple[float, ...] = (1380.0, 840.0, 820.0, 1250.0, 420.0, 380.0, 1800.0)
    native_1_5t_ms: tuple[float, ...] = (1000.0, 580.0, 570.0, 1020.0, 330.0, 300.0, 1550.0)
    post_ms: tuple[float, ...] = (720.0, 370.0, 360.0, 430.0, 300.0, 290.0, 400.0)
    t2_ms: tuple[float, ...] = (36.0, 36.0, 36.0, 66.0, 85.0, 85.0, 180.0)


CHEST = ChestTissue()
FAT: Mapping[str, float] = MappingProxyType({"t1_native": 380.0, "t1_post": 290.0, "t2": 85.0})
BLOOD_T2_MS = 180.0


def paint_maps(
    chest: Float32,
    where: tuple[slice, slice, slice],
    shares: Mapping[str, Float32],
    wall: WallValues,
    blood: Blood,
    *,
    site: MapSite,
    field_strength_t: float,
    rng: np.random.Generator,
) -> dict[str, Float32]:
    """Paint native T1, post-contrast T1, ECV and T2.

    Parameters
    ----------
    chest : ndarray, shape (n_slices, size, size)
        Surroundings as signal.
    where : tuple of slice
        The window of the heart.
    shares : mapping of str to ndarray, shape of the window
        See :func:`radiocard.simulate.layers.tissue_shares`.
    wall : WallValues
        Of the myocardium as this scanner shows it, shape of the window.
    blood : Blood
        As this scanner shows it.
    site : MapSite
        Noise and blur.
    field_strength_t : float
        1.5 or 3.
    rng : numpy.random.Generator
        Noise.

    Returns
    -------
    dict of str to ndarray, shape (n_slices, size, size)
        ``t1_native``, ``t1_post``, ``t2`` [ms], ``ecv`` [%]; no ECV (0) where the two T1 give none within 0 to 100 %.
    """
    native_chest = CHEST.native_3t_ms if field_strength_t > 2 else CHEST.native_1_5t_ms
    scale = 1.0 if field_strength_t > 2 else 0.75
    muscle = {"t1_native": wall.t1_ms, "t1_post": blood.post_contrast(wall.t1_ms, wall.ecv_pct), "t2": wall.t2_ms}
    fluid = {"t1_native": blood.native_ms, "t1_post": blood.post_ms, "t2": BLOOD_T2_MS}
    around = {"t1_native": native_chest, "t1_post": CHEST.post_ms, "t2": CHEST.t2_ms}
    noise = {"t1_native": scale * site.noise_ms, "t1_post": site.noise_post_ms, "t2": site.noise_t2_ms}
    lung = _lung(chest)
    chest = gaussian_filter(chest, (0, 1, 1), truncate=3)
    out = {}
    for name in ("t1_native", "t1_post", "t2"):
        tissue = np.interp(chest, CHEST.signal, around[name]).astype(np.float32)
        part = shares["chest"] * tissue[where] + shares["fat"] * np.float32(FAT[name])
        part += (shares["rv_blood"] + shares["blood"]) * np.float32(fluid[name])
        part += (shares["muscle"] + shares["rv_wall"]) * muscle[name].astype(np.float32)
        tissue[where] = part
        out[name] = _measure(tissue, lung, where, shares["chest"], noise[name], site, rng)
    ecv = blood.ecv_pct(out["t1_native"].astype(float), out["t1_post"].astype(float))
    out["ecv"] = np.where((ecv > 0) & (ecv < 100), ecv, 0).astype(np.float32)
    return out


def _lung(chest: Float32) -> Float32:
    low, high = _LUNG_SIGNAL
    return np.clip((high - chest) / (high - low), 0, 1).astype(np.float32)


def _measure(
    tissue: Float32,
    lung: Float32,
    where: tuple[slice, slice, slice],
    chest_share: Float32,
    noise: float,
    site: MapSite,
    rng: np.random.Generator,
) -> Float32:
    """Blur, add noise, and put values without meaning where there is lung or air."""
    blur = site.sharpness_mm / site.pixel_mm
    smooth = gaussian_filter(tissue, (0, blur, blur), truncate=3)
    empty = lung.copy()
    empty[where] *= chest_share
    top = float(np.percentile(tissue, 99))
    nothing = np.float32(top) * rng.random(tissue.shape, dtype=np.float32) ** 3
    values = smooth + np.float32(noise) * field(rng, tissue.shape, 0.5)
    values += np.clip(2 * empty - 0.6, 0, 1) * (nothing - values)
    return np.clip(values, 1, None)
