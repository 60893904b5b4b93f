"""What surrounds the heart on a short-axis image: chest wall, lung, liver, stomach, aorta."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from radiocard.simulate.grid import Float32, Grid

LUNG, MUSCLE, FAT, LIVER, SPLEEN, BLOOD = 0.05, 0.26, 0.75, 0.32, 0.42, 0.95


def paint_chest(grid: Grid, reach_mm: tuple[float, float], rng: np.random.Generator) -> Float32:
    """Paint the surroundings, relative to a blood signal of 1.

    Parameters
    ----------
    grid : Grid
        Stack of slices.
    reach_mm : (float, float)
        Extent of the heart from its axis to the left (right ventricle) and downwards [mm].
    rng : numpy.random.Generator
        Individual anatomy.

    Returns
    -------
    ndarray, shape (n_slices, size, size)
        Signal, indexed k, i, j.
    """
    right, up = grid.in_plane()
    level = grid.levels_mm[:, None, None].astype(np.float32)
    fine = field(rng, (len(level), grid.size, grid.size), 1.0)
    out = LUNG + 0.30 * np.clip(fine - 2.0, 0, 2)
    _abdomen(out, right, up, level, reach_mm[1], fine, rng)
    _aorta(out, right, up, level, rng)
    _chest_wall(out, right, up, reach_mm[0] + rng.uniform(5, 10) - 0.12 * level, rng)
    out *= 1 + 0.03 * fine
    return out


def field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Float32:
    """Return Gaussian random slices of unit variance, smooth over ``sigma`` pixels within each slice.

    A coarse field is drawn on every second or fourth pixel; that is enough for it.
    """
    step = 1 if sigma < 2 else 2 if sigma < 4 else 4
    small = (shape[0], -(-shape[1] // step), -(-shape[2] // step))
    white = rng.standard_normal(small, dtype=np.float32)
    smooth = gaussian_filter(white, (0, sigma / step, sigma / step), truncate=3, mode="wrap")
    smooth /= smooth.std()
    if step == 1:
        return smooth
    return np.repeat(np.repeat(smooth, step, axis=1), step, axis=2)[:, : shape[1], : shape[2]]


def soft(x: Float32, width: float) -> Float32:
    """Return a ramp from 0 to 1 over ``x`` from ``-width`` to ``width`` [mm]."""
    return np.clip(0.5 + x / np.float32(2 * width), 0, 1)


def _abdomen(
    out: Float32, right: Float32, up: Float32, level: Float32, depth: float, fine: Float32, rng: np.random.Generator
) -> None:
    top: Float32 = -(depth + rng.uniform(4, 8)) + np.float32(0.10) * (level - 45)
    low = int(np.flatnonzero((up - top).min(axis=(0, 1)) < 8)[0])
    up, fine = up[:, :, low:], fine[:, :, low:]
    dome = up - top + np.float32(0.0022) * (right + 15) ** 2
    coarse = field(rng, fine.shape, 4.0)
    split = rng.uniform(5, 30)
    liver = LIVER * (1 + 0.03 * coarse) + 0.12 * np.clip(coarse - 2.0, 0, 1)
    edge = right - split - 0.25 * (up - top) - 0.006 * (up - top + 25) ** 2
    stomach = rng.uniform(0.20, 0.45) * (1 + 0.18 * coarse)
    spleen = soft(30 - np.hypot(right - split - 62, (up - top + 38) * 0.8), 2.0)
    organ = liver + soft(edge, 3.0) * (stomach * (1 - spleen) + SPLEEN * spleen - liver)
    organ = np.maximum(organ, 0.55 * np.exp(-((edge / 2.5) ** 2)) * (1 + 0.2 * coarse))
    organ = np.maximum(organ, 0.40 * np.exp(-((dome / 2.0) ** 2)))
    out[:, :, low:] += soft(-dome, 2.0) * (organ - out[:, :, low:])


def _aorta(out: Float32, right: Float32, up: Float32, level: Float32, rng: np.random.Generator) -> None:
    x, y = 76 + rng.uniform(-4, 6), -34 + rng.uniform(-6, 6)
    size = rng.uniform(9.5, 12)
    columns = np.flatnonzero(np.abs(right[:, :, 0] - x).min(axis=0) < 20)
    if columns.size == 0:
        return
    part = out[:, columns[0] :]
    distance = np.hypot(right[:, columns[0] :] - x, up - y - 0.08 * level)
    part += soft(size + 2 - distance, 1.2) * (MUSCLE - part)
    part += soft(size - distance, 1.2) * (BLOOD - part)


def _chest_wall(out: Float32, right: Float32, up: Float32, inner: Float32, rng: np.random.Generator) -> None:
    bend = 0.0028 + rng.uniform(-0.0004, 0.0004)
    depth = bend * (up - 10) ** 2 * np.where(up > 10, 1.3, 0.8).astype(np.float32) - inner - right
    muscle, fat = rng.uniform(10, 15), rng.uniform(9, 22)
    out += 0.25 * np.exp(-(((depth + 1.5) / 1.6) ** 2))
    out += soft(depth, 1.5) * (MUSCLE - out)
    ribs = soft(np.cos(np.float32(2 * np.pi / 33) * (up + rng.uniform(0, 30))) - 0.55, 0.12)
    out += 0.3 * ribs * np.exp(-(((depth - muscle * 0.5) / 3.5) ** 2))
    out += soft(depth - muscle, 1.5) * (FAT - out)
    out += soft(depth - muscle - fat, 1.0) * (0.01 - out)
