"""Per segment, per slice and overall: thickness, systolic thickening, endocardial motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from radiocard.cardiac.function import Values
from radiocard.cardiac.segments import N_SEGMENTS
from radiocard.cardiac.wall import WallSamples
from radiocard.image import FloatArray

MIN_COVERED = 0.25  # of a segment's endocardium must have a wall for the segment to have a thickness
LOW_THICKENING_PCT = 10.0  # below it a segment is counted as not thickening

Statistic = Callable[[FloatArray], np.floating]


def thickness_values(wall: WallSamples, phase: str) -> Values:
    """Return the thickness columns of one phase [mm].

    Parameters
    ----------
    wall : WallSamples
        Samples of this phase.
    phase : {'ed', 'es', 'map'}
        Suffix of the columns; ``map`` where the mask is that of a map.

    Returns
    -------
    dict of str to float or None
        Per segment mean, maximum and standard deviation; over segments maximum, mean and
        standard deviation of the segment means; 95th percentile of the local thickness; over
        slices the maximum and standard deviation of the slice means, and the mean and standard
        deviation of the within-slice standard deviations [1]_.

    References
    ----------
    .. [1] Khened, Kollerathu and Krishnamurthi, Med Image Anal 51 (2019) 21,
       doi:10.1016/j.media.2018.10.004
    """
    values: Values = {}
    per_segment = [_covered(wall.thickness_mm[wall.segment == n]) for n in range(1, N_SEGMENTS + 1)]
    for n, samples in enumerate(per_segment, start=1):
        values[f"wt_aha_{n:02d}_{phase}_mm"] = _of(samples, np.mean)
        values[f"wt_max_aha_{n:02d}_{phase}_mm"] = _of(samples, np.max)
        values[f"wt_sd_aha_{n:02d}_{phase}_mm"] = _of(samples, np.std)
    means = np.array([s.mean() for s in per_segment if s.size])
    values |= {
        f"mwt_max_{phase}_mm": _of(means, np.max),
        f"mwt_mean_{phase}_mm": _of(means, np.mean),
        f"mwt_sd_{phase}_mm": _of(means, np.std),
        f"wt_p95_{phase}_mm": _of(_covered(wall.thickness_mm), lambda x: np.percentile(x, 95)),
    }
    per_slice = [s for k in np.unique(wall.k) if (s := _covered(wall.thickness_mm[wall.k == k])).size]
    slice_means, slice_sds = np.array([s.mean() for s in per_slice]), np.array([s.std() for s in per_slice])
    return values | {
        f"mwt_slice_max_{phase}_mm": _of(slice_means, np.max),
        f"mwt_slice_sd_{phase}_mm": _of(slice_means, np.std),
        f"mwt_sd_slice_mean_{phase}_mm": _of(slice_sds, np.mean),
        f"mwt_sd_slice_sd_{phase}_mm": _of(slice_sds, np.std),
    }


def thickening_values(thickness: Values) -> Values:
    """Return systolic wall thickening, 100 (ES - ED) / ED per segment [%].

    Parameters
    ----------
    thickness : dict of str to float or None
        Holds ``wt_aha_NN_ed_mm`` and ``wt_aha_NN_es_mm``.

    Returns
    -------
    dict of str to float or None
        Per segment; mean, standard deviation and minimum over segments; number of segments that
        thicken by less than 10 %.
    """
    values: Values = {}
    for n in range(1, N_SEGMENTS + 1):
        ed, es = thickness[f"wt_aha_{n:02d}_ed_mm"], thickness[f"wt_aha_{n:02d}_es_mm"]
        values[f"thickening_aha_{n:02d}_pct"] = None if not ed or es is None else 100.0 * (es - ed) / ed
    known = _known(list(values.values()))
    return values | {
        "thickening_mean_pct": _of(known, np.mean),
        "thickening_sd_pct": _of(known, np.std),
        "thickening_min_pct": _of(known, np.min),
        "thickening_low_n": float((known < LOW_THICKENING_PCT).sum()) if known.size else None,
    }


def motion_values(ed: WallSamples, es: WallSamples) -> Values:
    """Return the inward motion of the endocardium from end-diastole to end-systole [mm].

    The mean distance of a segment's endocardium from the left ventricle's centre at
    end-diastole less the same at end-systole. The centre is the centroid of cavity and
    myocardium of each slice at each phase, so that a shift of the whole heart is no motion.

    Parameters
    ----------
    ed, es : WallSamples
        Samples of both phases.

    Returns
    -------
    dict of str to float or None
        Per segment; mean, standard deviation and minimum over segments.
    """
    values: Values = {}
    for n in range(1, N_SEGMENTS + 1):
        before, after = ed.radius_mm[ed.segment == n], es.radius_mm[es.segment == n]
        both = before.size and after.size
        values[f"endo_motion_aha_{n:02d}_mm"] = float(before.mean() - after.mean()) if both else None
    known = _known(list(values.values()))
    return values | {
        "endo_motion_mean_mm": _of(known, np.mean),
        "endo_motion_sd_mm": _of(known, np.std),
        "endo_motion_min_mm": _of(known, np.min),
    }


def _covered(samples: FloatArray) -> FloatArray:
    """Return the samples that have a wall, none when too few of them do."""
    known = samples[~np.isnan(samples)]
    return known if known.size >= MIN_COVERED * max(samples.size, 1) else known[:0]


def _known(values: Sequence[float | None]) -> FloatArray:
    return np.array([v for v in values if v is not None], dtype=float)


def _of(samples: FloatArray, statistic: Statistic) -> float | None:
    return float(statistic(samples)) if samples.size else None
