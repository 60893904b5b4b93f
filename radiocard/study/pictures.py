"""Slices with contours for the patient report, cropped and turned for a reader."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import contourpy
import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from radiocard.cardiac.measure import HeartMeasures
from radiocard.image import Case, FloatArray, LabelMap
from radiocard.report.schema_patient import Images, Letters, SlicePicture

MARGIN_MM = 22.0
Level = Literal["basal", "mid", "apical"]
LEVELS: Mapping[Level, range] = {"basal": range(1, 7), "mid": range(7, 13), "apical": range(13, 17)}
WINDOW_PERCENTILES = (1.0, 99.5)
NO_METADATA: dict[str, Any] = {"Software": None}


@dataclass(frozen=True)
class Turn:
    """How array axes ``i, j`` become display columns and rows.

    Parameters
    ----------
    swap : bool
        Whether columns follow ``j`` instead of ``i``.
    flip_x, flip_y : bool
        Whether columns, or rows, run against their axis.
    """

    swap: bool
    flip_x: bool
    flip_y: bool

    def apply(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return display rows and columns of a plane of shape (ni, nj)."""
        shown = plane if self.swap else plane.T
        shown = shown[:, ::-1] if self.flip_x else shown
        return shown[::-1, :] if self.flip_y else shown


def make_images(case: Case, heart: HeartMeasures, *, sequence: str) -> Images:
    """Return basal, mid and apical slices at each phase with contours.

    Parameters
    ----------
    case : Case
        Images and masks.
    heart : HeartMeasures
        Gives the level of each slice, and whether orientation is proven.
    sequence : str
        Sequence shown.

    Returns
    -------
    Images
    """
    box = _heart_box([case.masks[sequence, phase] for phase in heart.segments])
    slices = []
    for phase, segments in heart.segments.items():
        image, mask = case.images[sequence, phase], case.masks[sequence, phase]
        turn = reading_turn(image.affine)
        letters = edge_letters(image.affine, turn) if heart.proof.proven else None
        for level, numbers in LEVELS.items():
            k = _middle_slice(segments.array, numbers)
            if k is not None:
                slices.append(_picture(image.array, mask, k, turn, letters, box=box, level=level, phase=phase))
    note = None if heart.proof.proven else heart.proof.reason
    return Images(slices=slices, note=note)


def reading_turn(affine: FloatArray) -> Turn:
    """Choose the display that puts the patient's left to the right and posterior or inferior down."""
    axes = affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)
    right, down = np.array([-1.0, 0.0, 0.0]), np.array([0.0, -1.0, -1.0]) / np.sqrt(2)
    turns = [Turn(bool(n & 1), bool(n & 2), bool(n & 4)) for n in range(8)]

    def fit(turn: Turn) -> float:
        x, y = _display_axes(axes, turn)
        return float(x @ right + y @ down)

    return max(turns, key=fit)


def edge_letters(affine: FloatArray, turn: Turn) -> Letters:
    """Return the patient direction at each edge of the display."""
    x, y = _display_axes(affine[:3, :2], turn)
    return Letters(left=_letter(-x), right=_letter(x), top=_letter(-y), bottom=_letter(y))


def _display_axes(axes: FloatArray, turn: Turn) -> tuple[FloatArray, FloatArray]:
    x, y = (axes[:, 1], axes[:, 0]) if turn.swap else (axes[:, 0], axes[:, 1])
    return (-x if turn.flip_x else x), (-y if turn.flip_y else y)


def _letter(direction: FloatArray) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return ("RAS" if direction[axis] > 0 else "LPI")[axis]


def _middle_slice(segments: NDArray[np.integer], numbers: range) -> int | None:
    present = np.flatnonzero(np.isin(segments, list(numbers)).any(axis=(0, 1)))
    return int(present[len(present) // 2]) if len(present) else None


def _picture(
    array: NDArray[Any],
    mask: LabelMap,
    k: int,
    turn: Turn,
    letters: Letters | None,
    *,
    box: tuple[slice, slice],
    level: Level,
    phase: str,
) -> SlicePicture:
    plane = turn.apply(np.asarray(array[..., k], dtype=float)[box])
    labels = turn.apply(np.asarray(mask.array[..., k])[box])
    finite = np.isfinite(plane)
    low, high = np.percentile(plane[finite], WINDOW_PERCENTILES)
    grey = np.clip((np.where(finite, plane, low) - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    dx, dy, _ = mask.spacing_mm
    return SlicePicture(
        level=level,
        phase=phase,
        slice_number=k + 1,
        png_base64=_png(grey),
        width_px=plane.shape[1],
        height_px=plane.shape[0],
        pixel_mm=(dy, dx) if turn.swap else (dx, dy),
        contours=_contours(labels, mask.labels),
        letters=letters,
    )


def _heart_box(masks: Sequence[LabelMap]) -> tuple[slice, slice]:
    """Return one field of view for all phases."""
    mask = masks[0]
    shape = np.max([m.array.shape[:2] for m in masks], axis=0)
    heart = np.zeros(tuple(shape), dtype=bool)
    for m in masks:
        found = np.isin(m.array, list(m.labels.values())).any(axis=2)
        heart[: found.shape[0], : found.shape[1]] |= found
    out = []
    for axis in (0, 1):
        where = np.flatnonzero(heart.any(axis=1 - axis))
        margin = round(MARGIN_MM / mask.spacing_mm[axis])
        out.append(slice(max(0, int(where[0]) - margin), int(where[-1]) + margin + 1))
    return out[0], out[1]


def _png(grey: FloatArray) -> str:
    buffer = io.BytesIO()
    levels = (grey * 255).astype(np.uint8)
    imsave(buffer, levels, format="png", cmap="gray", vmin=0, vmax=255, metadata=NO_METADATA)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _contours(labels: NDArray[Any], names: Mapping[str, int]) -> dict[str, list[list[tuple[float, float]]]]:
    cavity, wall, right = (labels == names[n] for n in ("lv_cavity", "lv_myocardium", "rv_cavity"))
    regions = {"lv_endo": cavity, "lv_epi": cavity | wall, "rv": right}
    return {name: polygons for name, region in regions.items() if (polygons := _polygons(region))}


def _polygons(region: NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """Trace a region at its pixel borders' half level; (0, 0) is the corner of the first pixel."""
    generator = contourpy.contour_generator(z=np.pad(region.astype(float), 1))
    lines = cast("list[FloatArray]", generator.lines(0.5))
    return [[(round(float(x) - 0.5, 2), round(float(y) - 0.5, 2)) for x, y in line] for line in lines if len(line) > 3]
