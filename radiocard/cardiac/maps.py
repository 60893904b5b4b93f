"""T1, T2, T2* and ECV of the myocardium: global, septal and per segment, away from its borders.

Pixels without a finite value above zero count as not fitted and are left out. Standard
deviations are those of the pixels themselves (divisor n), as in IBSI's variance.

References
----------
.. [1] Messroghli et al., J Cardiovasc Magn Reson 19 (2017) 75, doi:10.1186/s12968-017-0389-8
.. [2] Baessler et al., J Cardiovasc Magn Reson 17 (2015) 115, doi:10.1186/s12968-015-0217-y
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from radiocard.cardiac.blood import blood_pool
from radiocard.cardiac.function import Values
from radiocard.cardiac.map_segments import MapRegions, map_regions
from radiocard.cardiac.orientation import OrientationProof
from radiocard.cardiac.regional import thickness_values
from radiocard.cardiac.segments import N_SEGMENTS, BoolArray
from radiocard.cardiac.wall import WallSamples, wall_samples
from radiocard.errors import GeometryError, Issue, MaskError
from radiocard.image import Case, FloatArray, Image, LabelMap
from radiocard.specs.maps import MAP_UNITS, MapSettings

BLOOD_SEQUENCES: Final = ("t1_native", "t1_post")  # the blood pool is found by its T1
HALF: Final = 0.5  # depth that divides the inner from the outer half of the wall

Statistic = Callable[[FloatArray], np.floating[Any]]


@dataclass(frozen=True, eq=False)
class MapMeasures:
    """What was measured on the maps of one case.

    Parameters
    ----------
    values : dict of str to float or None
        The columns of :data:`radiocard.cardiac.map_dictionary.MAP_COLUMNS` that belong to the
        sequences the case has; None where undefined. Empty without any map.
    regions : mapping of str to MapRegions
        Segments, depth, eroded myocardium, septal region and proof of orientation, by sequence.
    blood : mapping of str to ndarray of bool, shape (ni, nj, nk)
        Voxels of the blood pool, by sequence; absent where there were too few.
    wall : WallSamples or None
        Wall thickness on the mask of the first map of the settings that the case has.
    issues : tuple of Issue
        ``W_SLICES`` where levels are a convention; ``W_FEATURE_UNDEFINED`` where no blood was
        found; ``W_PHYSIOLOGY`` where the blood pool spreads too widely.
    """

    values: Values
    regions: Mapping[str, MapRegions]
    blood: Mapping[str, BoolArray]
    wall: WallSamples | None
    issues: tuple[Issue, ...]

    @property
    def proof(self) -> OrientationProof:
        """Whether anterior and inferior are proven on every map; else why not on the first that fails."""
        proofs = [found.proof for found in self.regions.values()]
        unproven = [proof for proof in proofs if not proof.proven]
        return (unproven or proofs or [OrientationProof(False, "There is no map.")])[0]


def measure_maps(case: Case, settings: MapSettings) -> MapMeasures:
    """Measure every map of the settings that the case has.

    Parameters
    ----------
    case : Case
        Maps in ms or % and their masks under the keys ``(sequence, "")``; the last axis is the
        slice axis.
    settings : MapSettings
        Sequences, margins, sizes.

    Returns
    -------
    MapMeasures

    Raises
    ------
    MaskError
        If a map has no mask, or a region is unknown or empty.
    GeometryError
        If map and mask differ in shape.
    """
    values: Values = {}
    regions: dict[str, MapRegions] = {}
    blood: dict[str, BoolArray] = {}
    issues: list[Issue] = []
    wall: WallSamples | None = None
    for sequence in [name for name in settings.sequences if (name, "") in case.images]:
        image, mask = case.images[sequence, ""], _mask(case, sequence)
        found = map_regions(mask, settings)
        regions[sequence] = found
        if found.note:
            hint = "Check that these are the slices that were planned."
            issues.append(Issue("W_SLICES", found.note, case.patient_id, f"{sequence}.mask", hint))
        values |= map_values(image, found, sequence=sequence, min_pixels=settings.min_pixels_segment)
        if sequence in BLOOD_SEQUENCES:
            mean, voxels, notes = _blood(image, mask, sequence, settings, case.patient_id)
            values[_column(sequence, "blood")] = mean
            issues += notes
            if voxels is not None:
                blood[sequence] = voxels
        if wall is None:
            wall = wall_samples(mask, found.segments)
            values |= _thickness(wall)
    return MapMeasures(values, MappingProxyType(regions), MappingProxyType(blood), wall, tuple(issues))


def map_values(image: Image, regions: MapRegions, *, sequence: str, min_pixels: int) -> Values:
    """Return the columns of one map, blood and thickness left out.

    Parameters
    ----------
    image : Image
        Map [ms or %].
    regions : MapRegions
        Of its mask.
    sequence : str
        ``t1_native``, ``t1_post``, ``t2``, ``t2_star`` or ``ecv``.
    min_pixels : int
        Fewer pixels give no value. Each half of the wall needs half as many for a gradient.

    Returns
    -------
    dict of str to float or None
        Over all pixels of the segments: mean, standard deviation, median; mean of the septal
        region; over segments the highest mean and the standard deviation of the means. Per segment
        mean, standard deviation, number of pixels, and gradient: mean of the inner half of the
        wall minus mean of the outer half. For T2 also the spread of the segments' standard
        deviations [2]_.
    """
    pixels = np.asarray(image.array, dtype=float)
    usable = regions.kept & (np.nan_to_num(pixels, posinf=0.0) > 0)
    whole, septum = pixels[usable], pixels[usable & regions.septum]
    values: Values = {
        _column(sequence, ""): _of(whole, np.mean, min_pixels),
        _column(sequence, "sd"): _of(whole, np.std, min_pixels),
        _column(sequence, "median"): _of(whole, np.median, min_pixels),
        _column(sequence, "septal"): _of(septum, np.mean, min_pixels),
    }
    means, sds = [], []
    for n in range(1, N_SEGMENTS + 1):
        here = usable & (regions.segments.array == n)
        inside, depth, tag = pixels[here], regions.depth[here], f"aha_{n:02d}"
        mean, sd = _of(inside, np.mean, min_pixels), _of(inside, np.std, min_pixels)
        values[_column(sequence, tag)] = mean
        values[_column(sequence, f"sd_{tag}")] = sd
        values[f"{sequence}_n_{tag}"] = float(inside.size)
        values[_column(sequence, f"gradient_{tag}")] = _gradient(inside, depth, min_pixels)
        means += [] if mean is None else [mean]
        sds += [] if sd is None else [sd]
    values[_column(sequence, "segment_max")] = _of(np.array(means), np.max, 1)
    values[_column(sequence, "segment_sd")] = _of(np.array(means), np.std, 2)
    if sequence == "t2":
        values["t2_mad_log_sd"] = mad_log_sd(sds)
    return values


def mad_log_sd(sds: list[float]) -> float | None:
    """Return the mean absolute deviation of the logarithms of the segments' standard deviations.

    Baessler et al. call it madSD [1]_. Natural logarithm, deviations from the mean.

    Parameters
    ----------
    sds : list of float
        Standard deviation of the pixels of each segment [ms].

    Returns
    -------
    float or None
        Without unit; None with fewer than two segments or a segment without any spread.

    References
    ----------
    .. [1] Baessler et al., J Cardiovasc Magn Reson 17 (2015) 115, doi:10.1186/s12968-015-0217-y

    Examples
    --------
    >>> round(mad_log_sd([5.0, 10.0]), 4)
    0.3466
    """
    if len(sds) < 2 or min(sds) <= 0:
        return None
    logs = np.log(sds)
    return float(np.abs(logs - logs.mean()).mean())


def _column(sequence: str, quantity: str) -> str:
    return "_".join(part for part in (sequence, quantity, MAP_UNITS[sequence]) if part)


def _of(samples: FloatArray, statistic: Statistic, least: int) -> float | None:
    return float(statistic(samples)) if samples.size >= least else None


def _gradient(samples: FloatArray, depth: FloatArray, min_pixels: int) -> float | None:
    inner, outer = samples[depth < HALF], samples[depth > HALF]
    if 2 * min(inner.size, outer.size) < min_pixels:
        return None
    return float(inner.mean() - outer.mean())


def _thickness(wall: WallSamples) -> Values:
    """Return the thickness columns that a bull's eye needs; a map has too few slices for the others."""
    kept = ("mwt_max_map_mm", "mwt_mean_map_mm")
    return {k: v for k, v in thickness_values(wall, "map").items() if k in kept or k.startswith("wt_aha_")}


def _blood(
    image: Image, mask: LabelMap, sequence: str, settings: MapSettings, case: str
) -> tuple[float | None, BoolArray | None, list[Issue]]:
    try:
        pool = blood_pool(
            image.array,
            mask.mask("lv_cavity"),
            spacing_mm=mask.spacing_mm[:2],
            erosion_mm=settings.blood_erosion_mm,
            min_voxels=settings.blood_min_voxels,
        )
    except MaskError as error:
        found = Issue("W_FEATURE_UNDEFINED", error.issue.message, case, f"{sequence}.blood", error.issue.hint)
        return None, None, [found]
    notes = [Issue(i.code, i.message, case, f"{sequence}.blood", i.hint, i.severity) for i in pool.issues]
    return pool.t1_ms, pool.mask, notes


def _mask(case: Case, sequence: str) -> LabelMap:
    if (sequence, "") not in case.masks:
        msg = f"There is no mask of {sequence}; measuring a map needs cavity, myocardium and right ventricle."
        raise MaskError(msg, case=case.patient_id, field=f"{sequence}.mask")
    image, mask = case.images[sequence, ""], case.masks[sequence, ""]
    if image.array.shape != mask.array.shape:
        msg = f"Map and mask differ in shape: {image.array.shape} and {mask.array.shape}."
        hint = "Check that the mask was drawn on this series."
        raise GeometryError(msg, case=case.patient_id, field=f"{sequence}.mask", hint=hint)
    return mask
