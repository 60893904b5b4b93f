"""Slices with contours for the patient report, cropped and turned for a reader."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import contourpy
import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy.typing import NDArray

from radiocard.cardiac.map_dictionary import MAP_NAMES, MAP_SIGNS
from radiocard.cardiac.maps import MapMeasures
from radiocard.cardiac.scar import ScarMeasures
from radiocard.cohort.row import Measures
from radiocard.image import STILL, Case, FloatArray, Image, Key, LabelMap
from radiocard.report.schema_patient import ColourBar, Images, Letters, SlicePicture
from radiocard.specs.maps import MAP_UNITS

MARGIN_MM = 22.0
Level = Literal["basal", "mid", "apical"]
LEVELS: Mapping[Level, range] = {"basal": range(1, 7), "mid": range(7, 13), "apical": range(13, 17)}
WINDOW_PERCENTILES = (1.0, 99.5)
MAP_WINDOWS: Mapping[str, tuple[float, float]] = {
    "t1_native": (600.0, 1800.0),
    "t1_post": (200.0, 900.0),
    "t2": (20.0, 100.0),
    "t2_star": (0.0, 60.0),
    "ecv": (0.0, 80.0),
}  # the same for every patient, so that two reports can be compared by eye
MAP_COLOURS = "viridis"
COLOUR_PERCENTILES = (2.0, 98.0)
COLOUR_WEIGHT = 0.7
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


@dataclass(frozen=True)
class _Colours:
    """Values that are painted over grey pictures, NaN for none, and their scale."""

    values: FloatArray
    bar: ColourBar


def make_images(case: Case, heart: Measures, *, sequence: str) -> Images:
    """Return basal, mid and apical slices at each phase, or of each map, with contours.

    Parameters
    ----------
    case : Case
        Images and masks.
    heart : HeartMeasures or MapMeasures
        Gives the level of each slice, and whether orientation is proven.
    sequence : str
        Sequence shown; of maps, all that were measured.

    Returns
    -------
    Images
    """
    shown = _shown(heart, sequence)
    box = _heart_box([case.masks[key] for key in shown])
    slices = []
    for key in shown:
        image, mask = case.images[key], case.masks[key]
        turn = reading_turn(image.affine)
        letters = edge_letters(image.affine, turn) if heart.proof.proven else None
        scar = heart.scar.array if isinstance(heart, ScarMeasures) else None
        for level, k in shown_slices(heart, key).items():
            picture = _picture(image.array, mask, k, turn, letters, box=box, level=level, key=key)
            if scar is not None and scar[..., k].any():
                picture.contours["scar"] = _polygons(turn.apply(scar[..., k][box]))
            slices.append(picture)
    note = None if heart.proof.proven else heart.proof.reason
    return Images(slices=slices, note=note)


def colour_region(case: Case, heart: Measures, values: Image, *, key: Key, title: str, unit: str) -> list[SlicePicture]:
    """Return the slices of one image with the values of a region in colours.

    Parameters
    ----------
    case : Case
        Images and masks.
    heart : HeartMeasures or MapMeasures
        As :func:`make_images`.
    values : Image
        On the grid of the image; NaN where nothing is coloured.
    key : tuple of str
        Sequence and phase.
    title, unit : str
        Of the colours, whose ends are percentiles over the slices.

    Returns
    -------
    list of SlicePicture
        Slices of :func:`shown_slices` with at least one value.
    """
    image, mask, numbers = case.images[key], case.masks[key], shown_slices(heart, key)
    used = {level: k for level, k in numbers.items() if np.isfinite(values.array[..., k]).any()}
    if not used:
        return []
    seen = np.concatenate([values.array[..., k].ravel() for k in used.values()])
    low, high = np.percentile(seen[np.isfinite(seen)], COLOUR_PERCENTILES).tolist()
    over = _Colours(values.array, ColourBar(title=title, unit=unit, low=low, high=high))
    turn, box = reading_turn(image.affine), _heart_box([mask])
    letters = edge_letters(image.affine, turn) if heart.proof.proven else None
    return [
        _picture(image.array, mask, k, turn, letters, box=box, level=level, key=key, over=over)
        for level, k in used.items()
    ]


def shown_slices(heart: Measures, key: Key) -> dict[Level, int]:
    """Return the number of the slice that stands for each level of the left ventricle."""
    segments = _shown(heart, key[0])[key]
    found = {level: _middle_slice(segments, numbers) for level, numbers in LEVELS.items()}
    return {level: k for level, k in found.items() if k is not None}


def _shown(heart: Measures, sequence: str) -> dict[Key, NDArray[np.integer]]:
    """Return the segment numbers of each image that is shown."""
    if isinstance(heart, MapMeasures):
        return {(name, STILL): regions.segments.array for name, regions in heart.regions.items()}
    if isinstance(heart, ScarMeasures):
        return {(sequence, STILL): heart.levels}
    return {(sequence, phase): segments.array for phase, segments in heart.segments.items()}


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
    key: Key,
    over: _Colours | None = None,
) -> SlicePicture:
    plane = turn.apply(np.asarray(array[..., k], dtype=float)[box])
    labels = turn.apply(np.asarray(mask.array[..., k])[box])
    finite = np.isfinite(plane)
    sequence, phase = key
    low, high = MAP_WINDOWS.get(sequence) or np.percentile(plane[finite], WINDOW_PERCENTILES)
    tone = np.clip((np.where(finite, plane, low) - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    bar = None
    if sequence in MAP_WINDOWS:
        bar = ColourBar(title=MAP_NAMES[sequence], unit=MAP_SIGNS[MAP_UNITS[sequence]], low=low, high=high)
    if over is None:
        png = _png(_painted(tone, MAP_COLOURS if bar else "gray"))
    else:
        bar = over.bar
        png = _png(_blended(tone, turn.apply(over.values[..., k][box]), bar))
    dx, dy, _ = mask.spacing_mm
    return SlicePicture(
        level=level,
        phase=cast("Literal['ed', 'es'] | None", phase or None),
        bar=bar,
        slice_number=k + 1,
        png_base64=png,
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


def _painted(tone: FloatArray, colours: str) -> FloatArray:
    """Return red, green and blue of values from 0 to 1."""
    return np.asarray(colormaps[colours]((tone * 255).astype(np.uint8))[..., :3])


def _blended(tone: FloatArray, plane: FloatArray, bar: ColourBar) -> FloatArray:
    coloured = np.isfinite(plane)
    share = np.clip((np.where(coloured, plane, bar.low) - bar.low) / max(bar.high - bar.low, 1e-12), 0, 1)
    weight = np.where(coloured, COLOUR_WEIGHT, 0.0)[..., None]
    return (1 - weight) * _painted(tone, "gray") + weight * _painted(share, MAP_COLOURS)


def _png(rgb: FloatArray) -> str:
    buffer = io.BytesIO()
    imsave(buffer, np.round(rgb * 255).astype(np.uint8), format="png", metadata=NO_METADATA)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _contours(labels: NDArray[Any], names: Mapping[str, int]) -> dict[str, list[list[tuple[float, float]]]]:
    cavity, wall, right = (
        labels == names[n] if n in names else np.zeros(labels.shape, dtype=bool)
        for n in ("lv_cavity", "lv_myocardium", "rv_cavity")
    )
    regions = {"lv_endo": cavity, "lv_epi": cavity | wall, "rv": right}
    return {name: polygons for name, region in regions.items() if (polygons := _polygons(region))}


def _polygons(region: NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """Trace a region at its pixel borders' half level; (0, 0) is the corner of the first pixel."""
    generator = contourpy.contour_generator(z=np.pad(region.astype(float), 1))
    lines = cast("list[FloatArray]", generator.lines(0.5))
    return [[(round(float(x) - 0.5, 2), round(float(y) - 0.5, 2)) for x, y in line] for line in lines if len(line) > 3]
