"""Measure scar: from a late gadolinium image and its myocardium, or from a given scar mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiocard.cardiac.function import Values
from radiocard.cardiac.orientation import OrientationProof, heart_axes
from radiocard.cardiac.scar_find import Scar, find_scar, require_grey_values, require_within
from radiocard.cardiac.scar_regions import enclosed_core
from radiocard.cardiac.segments import N_SEGMENTS, SegmentMap, map_segments
from radiocard.cardiac.transmurality import ChordScar, chord_scar, pattern_values, transmurality_values, wall_chords
from radiocard.features.histogram import intensity_histogram
from radiocard.image import Image, LabelMap
from radiocard.preprocessing.discretise import discretise
from radiocard.specs import CardiacSettings, Discretisation
from radiocard.specs.lge import ScarSettings

BoolArray = NDArray[np.bool_]
MID_SEGMENT = 7
NO_RIGHT_VENTRICLE = "The masks hold no right ventricle, so segments cannot be placed."


@dataclass(frozen=True, eq=False)
class ScarMeasures:
    """What was measured in one late gadolinium stack.

    Parameters
    ----------
    values : dict of str to float or None
        Columns; None where undefined.
    scar : Scar
        Where the scar is.
    chords : ChordScar
        Scar along lines across the wall, for pictures.
    segments : SegmentMap or None
        None where the masks hold no right ventricle.
    proof : OrientationProof
        Whether anterior and inferior segments are proven.
    """

    values: Values
    scar: Scar
    chords: ChordScar
    segments: SegmentMap | None
    proof: OrientationProof

    @property
    def levels(self) -> NDArray[np.integer]:
        """Segment numbers, shape (ni, nj, nk); all mid-ventricular where segments cannot be placed."""
        return self.segments.array if self.segments else np.full(self.scar.array.shape, MID_SEGMENT)


def measure_lge(
    image: Image, mask: LabelMap, settings: ScarSettings, cardiac: CardiacSettings, *, remote: BoolArray | None = None
) -> ScarMeasures:
    """Find scar in a late gadolinium image and measure it.

    Parameters
    ----------
    image : Image
        Late gadolinium stack; the last axis is the slice axis.
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` (scar included) and, for segments, ``rv_cavity``.
    settings : ScarSettings
        Method and its constants.
    cardiac : CardiacSettings
        Myocardial density [g/mL].
    remote : ndarray of bool, shape (ni, nj, nk), optional
        Normal myocardium drawn by a reader; else the darkest sector of each slice.

    Returns
    -------
    ScarMeasures
        With the columns of :func:`scar_values`, of transmurality and pattern, and of
        :func:`lge_entropy_bit`.

    Raises
    ------
    GeometryError, MaskError, IntensityError
        As :func:`find_scar` and :func:`lge_entropy_bit` do.
    """
    found = find_scar(image, mask, settings, remote=remote)
    measures = _measure(found, mask, cardiac)
    measures.values["lge_entropy_bit"] = lge_entropy_bit(image, mask, settings.entropy)
    return measures


def measure_scar_mask(
    scar: BoolArray,
    mask: LabelMap,
    cardiac: CardiacSettings,
    *,
    no_reflow: BoolArray | None = None,
) -> ScarMeasures:
    """Measure scar that was drawn or found elsewhere.

    Parameters
    ----------
    scar : ndarray of bool, shape (ni, nj, nk)
        Scar within the myocardium.
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` (scar included) and, for segments, ``rv_cavity``.
    cardiac : CardiacSettings
        Myocardial density [g/mL].
    no_reflow : ndarray of bool, shape (ni, nj, nk), optional
        No-reflow as drawn, counted as scar; else what the scar encloses.

    Returns
    -------
    ScarMeasures
        The columns of :func:`measure_lge`, None where they need an image.

    Raises
    ------
    GeometryError
        If the arrays differ in shape.
    MaskError
        If a region is unknown or empty, or scar lies outside the myocardium (``E_LABEL_ANATOMY``).
    """
    wall, cavity = mask.mask("lv_myocardium"), mask.mask("lv_cavity")
    require_within(scar, wall, "lv_scar")
    if no_reflow is None:
        no_reflow = enclosed_core(scar, wall, cavity)
    require_within(no_reflow, wall, "no_reflow")
    measures = _measure(Scar(scar | no_reflow, no_reflow), mask, cardiac)
    measures.values["lge_entropy_bit"] = None
    return measures


def lge_entropy_bit(image: Image, mask: LabelMap, discretisation: Discretisation) -> float | None:
    """Return the entropy of the grey values of the myocardium, scar included (IBSI TLU2) [1]_.

    Parameters
    ----------
    image : Image
        Late gadolinium stack.
    mask : LabelMap
        ``lv_myocardium`` (scar included).
    discretisation : Discretisation
        Bins.

    Returns
    -------
    float or None
        Entropy [bit]; at most the logarithm to base 2 of the number of bins.

    Raises
    ------
    GeometryError
        If image and mask differ in shape.
    MaskError
        If the myocardium is unknown or empty.
    IntensityError
        If it holds values that are not finite, or would need too many bins (``E_BINS``).

    References
    ----------
    .. [1] Androulakis et al., JACC Clin Electrophysiol 5 (2019) 480
    """
    wall = mask.mask("lv_myocardium")
    require_grey_values(image, wall)
    grey = discretise(image.array[wall].astype(float), discretisation, convention="ibsi")
    return intensity_histogram(grey, convention="ibsi")["ih_entropy"]


def scar_values(scar: Scar, mask: LabelMap, segments: SegmentMap | None, cardiac: CardiacSettings) -> Values:
    """Return mass and share of scar, overall and per segment.

    Parameters
    ----------
    scar : Scar
        Scar, no-reflow, core and grey zone.
    mask : LabelMap
        ``lv_myocardium`` (scar included).
    segments : SegmentMap or None
        Segments of the same heart.
    cardiac : CardiacSettings
        Myocardial density [g/mL].

    Returns
    -------
    dict of str to float or None
        ``lvm_lge_g``: myocardial mass of the stack. ``<part>_mass_g`` and ``<part>_pct`` (of the
        myocardium) for scar, no_reflow, scar_core and grey_zone. ``scar_aha_NN_pct``: share of
        the segment's voxels.
    """
    wall = mask.mask("lv_myocardium")
    voxel_g = mask.voxel_volume_ml * cardiac.myocardial_density_g_ml
    values: Values = {"lvm_lge_g": float(wall.sum()) * voxel_g}
    parts = {"scar": scar.array, "no_reflow": scar.no_reflow, "scar_core": scar.core, "grey_zone": scar.grey_zone}
    for name, part in parts.items():
        values[f"{name}_mass_g"] = None if part is None else float(part.sum()) * voxel_g
        values[f"{name}_pct"] = None if part is None else float(100.0 * part.sum() / wall.sum())
    for n in range(1, N_SEGMENTS + 1):
        here = None if segments is None else scar.array[segments.array == n]
        values[f"scar_aha_{n:02d}_pct"] = float(100.0 * here.mean()) if here is not None and here.size else None
    return values


def _measure(scar: Scar, mask: LabelMap, cardiac: CardiacSettings) -> ScarMeasures:
    segments, proof = None, OrientationProof(False, NO_RIGHT_VENTRICLE)
    if "rv_cavity" in mask.labels:
        axes = heart_axes(mask)
        segments, proof = map_segments(mask, axes), axes.proof
    chords = chord_scar(scar.array, mask, wall_chords(mask, segments))
    values = scar_values(scar, mask, segments, cardiac) | transmurality_values(chords) | pattern_values(chords)
    return ScarMeasures(values, scar, chords, segments, proof)
