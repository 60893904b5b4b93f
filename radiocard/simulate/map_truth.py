"""The true values of a simulated map study, from the phantom's own parameters; noise and partial volume left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiocard.simulate.grid import angle_table
from radiocard.simulate.heart import Float, PhaseShape
from radiocard.simulate.layers import DEGREES, WallPoints
from radiocard.simulate.map_images import Blood
from radiocard.simulate.map_structure import WallValues
from radiocard.simulate.scars import aha_segment


def map_truth(
    shape: PhaseShape,
    levels_mm: Float,
    points: WallPoints,
    inside: NDArray[np.bool_],
    wall: WallValues,
    blood: Blood,
) -> dict[str, float]:
    """Return the known truth under the names of the columns.

    Parameters
    ----------
    shape : PhaseShape
        End-diastolic surfaces.
    levels_mm : ndarray, shape (n_slices,)
        Where the slices lie along the axis.
    points : WallPoints
        Voxel centres, arrays of shape (n_slices, ni, nj).
    inside : ndarray of bool, same shape
        Voxels whose centre lies in the myocardium.
    wall : WallValues
        True values as the scanner shows them, its offset included.
    blood : Blood
        T1 of blood.

    Returns
    -------
    dict of str to float
        For ``t1_native``, ``t1_post``, ``t2`` [ms] and ``ecv`` [%]: mean and standard deviation over all voxel
        centres within the wall (``t1_native_ms``, ``t1_native_sd_ms``), mean and standard deviation per AHA segment
        (``t1_native_aha_NN_ms``, ``t1_native_sd_aha_NN_ms``), and gradient, inner minus outer half
        (``t1_native_gradient_aha_NN_ms``); ``t1_native_blood_ms``, ``t1_post_blood_ms``. Wall thickness in the
        planes of the slices: ``wt_aha_NN_map_mm``, ``mwt_max_map_mm``, ``mwt_mean_map_mm``.
    """
    maps = {
        ("t1_native", "ms"): wall.t1_ms,
        ("t1_post", "ms"): blood.post_contrast(wall.t1_ms, wall.ecv_pct),
        ("ecv", "pct"): wall.ecv_pct,
        ("t2", "ms"): wall.t2_ms,
    }
    segment = np.where(inside, aha_segment(np.asarray(points.level), points.theta_deg), 0)
    out = {"t1_native_blood_ms": blood.native_ms, "t1_post_blood_ms": blood.post_ms}
    for (name, unit), values in maps.items():
        out[f"{name}_{unit}"] = float(values[inside].mean())
        out[f"{name}_sd_{unit}"] = float(values[inside].std())
        for n in range(1, 17):
            here = segment == n
            inner, outer = (here & half for half in (points.depth < 0.5, points.depth >= 0.5))
            out[f"{name}_aha_{n:02d}_{unit}"] = float(values[here].mean())
            out[f"{name}_sd_aha_{n:02d}_{unit}"] = float(values[here].std())
            out[f"{name}_gradient_aha_{n:02d}_{unit}"] = float(values[inner].mean() - values[outer].mean())
    return out | _thickness(shape, levels_mm)


def _thickness(shape: PhaseShape, levels_mm: Float) -> dict[str, float]:
    endo, epi = map(angle_table, shape.rings(levels_mm))
    level = np.broadcast_to(levels_mm[:, None] / shape.tip_mm, endo.shape)
    segment = aha_segment(level, np.broadcast_to(DEGREES, endo.shape))
    thickness = [float((epi - endo)[segment == n].mean()) for n in range(1, 17)]
    out = {f"wt_aha_{n:02d}_map_mm": value for n, value in enumerate(thickness, start=1)}
    return out | {"mwt_max_map_mm": max(thickness), "mwt_mean_map_mm": float(np.mean(thickness))}
