"""Late gadolinium enhancement of a simulated heart with a scar whose mass and depth are known.

Towards viable myocardium the signal of scar falls over a border, half of it on either side of the true
edge: the true edge lies where the signal is half-way between scar and remote myocardium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.image import LABELS_ACDC, Image, LabelMap
from radiocard.simulate.chest import field, paint_chest
from radiocard.simulate.grid import Float32, label_slices
from radiocard.simulate.heart import Float, HeartParameters, end_diastole
from radiocard.simulate.layers import draw_surroundings, tissue_shares
from radiocard.simulate.scars import BoolArray, ScarParameters, scar_truth, scar_voxels, wall_parts

# signal relative to scar: nulled myocardium, bright fat, blood between scar and myocardium
SIGNAL: tuple[tuple[str, float], ...] = (
    ("fat", 0.85), ("rv_wall", 0.15), ("rv_blood", 0.66), ("muscle", 0.10), ("blood", 0.70)
)  # fmt: skip
REMOTE_SIGNAL, NO_REFLOW_SIGNAL = 0.10, 0.15
GREY_VALUE_OF_SCAR = 1000.0
_SIZE = 152


@dataclass(frozen=True, eq=False)
class SimulatedLge:
    """One late gadolinium stack.

    Parameters
    ----------
    image : Image
        Grey values, int16, about 1000 in scar.
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` (scar included), ``rv_cavity``; labels of ACDC, on the image's grid.
    scar : ndarray of bool, shape (ni, nj, nk)
        Voxels whose centre lies in the true scar, no-reflow included; always within ``lv_myocardium``.
    no_reflow : ndarray of bool, same shape
        Voxels whose centre lies in the core without contrast agent; always within ``scar``.
    truth : mapping of str to float
        From the phantom's surfaces, no mask involved: ``lvm_lge_g``, ``scar_mass_g`` and ``scar_pct``
        (no-reflow included), ``no_reflow_mass_g``, ``no_reflow_pct``, and for the AHA segments 1 to 16
        ``scar_aha_NN_pct`` (share of the segment's volume) and ``transmurality_aha_NN_pct`` (scarred share of
        the wall's thickness, mean over the segment's surface, 0 where there is no scar).
    parameters : mapping of str to float or str
        What heart and scar were made from.
    """

    image: Image
    mask: LabelMap
    scar: BoolArray
    no_reflow: BoolArray
    truth: Mapping[str, float]
    parameters: Mapping[str, float | str]


def simulate_lge(
    scar: ScarParameters,
    *,
    seed: int,
    noise: float = 0.04,
    border_mm: float = 2.0,
    pixel_mm: float = 1.4,
    slice_mm: float = 8.0,
) -> SimulatedLge:
    """Simulate a short-axis late gadolinium stack of the whole left ventricle.

    Parameters
    ----------
    scar : ScarParameters
        The scar; ``ScarParameters("none")`` for a normal heart.
    seed : int
        Heart, position, surroundings and noise follow from it; the scar does not.
    noise : float
        Standard deviation of the Rician noise, relative to the signal of scar (remote myocardium is 0.10).
    border_mm : float
        Width of the grey zone, over which signal falls from scar to remote myocardium; 0 for a sharp edge.
    pixel_mm, slice_mm : float
        In-plane spacing, and distance between slices, which have no gap [mm].

    Returns
    -------
    SimulatedLge

    Raises
    ------
    UsageError
        If ``seed``, ``noise`` or ``border_mm`` is negative, or a spacing is not above 0.

    Notes
    -----
    Voxels are labelled by their centre, so summed slices are unbiased for the true mass with a scatter of
    some per cent at 8 mm; on a fine grid they converge.
    """
    _require(seed >= 0, f"seed is {seed}, expected 0 or more.")
    _require(noise >= 0 and border_mm >= 0, f"noise is {noise} and border_mm {border_mm}, expected 0 or more.")
    _require(pixel_mm > 0 and slice_mm > 0, f"Spacing is {pixel_mm} x {slice_mm} mm, expected above 0.")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(10,)))
    heart = _heart(rng)
    shape = end_diastole(heart)
    around = draw_surroundings(rng)
    n = int(np.ceil(shape.apex_mm / slice_mm)) + 1
    levels: Float = slice_mm * (np.arange(n, dtype=np.float64) - rng.uniform(0, 1))
    levels = levels[(levels > 0) & (levels < shape.apex_mm)]
    grid = around.grid(levels, size=round(_SIZE * 1.4 / pixel_mm), pixel_mm=pixel_mm, rng=rng)
    width = float(shape.epi_mm.max()) + shape.rv_reach_mm
    window = grid.window(width + 14)
    signal = 0.75 * paint_chest(grid, (width, float(shape.epi_mm.max())), rng)
    parts = wall_parts(scar, shape.tip_mm, border_mm=border_mm)
    shares = tissue_shares(shape, grid, window, thickness_mm=slice_mm, fat_mm=around.fat_mm, parts=parts)
    signal[window.where] = _paint(signal[window.where], shares, rng)
    image = Image(_scan(signal, noise, rng), around.affine(grid))
    labels = label_slices(shape, grid, window)
    inside, core = scar_voxels(shape, grid, window, scar, labels)
    return SimulatedLge(
        image=image,
        mask=LabelMap(labels, image.affine, labels=dict(LABELS_ACDC)),
        scar=inside,
        no_reflow=core,
        truth=scar_truth(shape, scar),
        parameters={**vars(heart), **asdict(scar), "noise": noise, "border_mm": border_mm},
    )


def _heart(rng: np.random.Generator) -> HeartParameters:
    return HeartParameters(
        lvedv_ml=float(rng.normal(150, 15)),
        lvef=0.55,
        rvef=0.55,
        sv_ratio=1.0,
        myocardium_ml=float(rng.normal(118, 10)),
        septal_excess=0.10,
        deficit=0.1,
        thinning=0.01,
        territory="LAD",
        territory_shift_deg=0.0,
        territory_scale=1.0,
        septal_centre_deg=165.0,
        length_mm=float(rng.normal(86, 3)),
        apex_mm=float(rng.uniform(4, 6)),
        descent=0.27,
    )


def _paint(chest: Float32, shares: Mapping[str, Float32], rng: np.random.Generator) -> Float32:
    texture = 1 + 0.02 * field(rng, chest.shape, 1.0) + 0.02 * field(rng, chest.shape, 4.0)
    out = sum((shares[name] * np.float32(value) for name, value in SIGNAL), np.zeros_like(chest)) * texture
    out += shares["chest"] * chest
    out += shares.get("scar", np.float32(0)) * np.float32(1 - REMOTE_SIGNAL)
    return out + shares.get("no_reflow", np.float32(0)) * np.float32(NO_REFLOW_SIGNAL - 1)


def _scan(signal: Float32, noise: float, rng: np.random.Generator) -> NDArray[np.int16]:
    normal = noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    values = GREY_VALUE_OF_SCAR * np.hypot(signal + normal[0], normal[1])
    return np.ascontiguousarray(np.rint(np.clip(values, 0, 32000)).astype(np.int16).transpose(1, 2, 0))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
