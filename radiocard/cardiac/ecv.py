"""Extracellular volume from native and post-contrast T1 [1]_.

References
----------
.. [1] Arheden et al., Radiology 211 (1999) 698, doi:10.1148/radiology.211.3.r99jn41698
.. [2] Treibel et al., JACC Cardiovasc Imaging 9 (2016) 54, doi:10.1016/j.jcmg.2015.11.008
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from radiocard.cardiac.blood import BloodT1, refuse_seconds
from radiocard.cardiac.fitting import BoolArray
from radiocard.errors import GeometryError, UsageError
from radiocard.image import FloatArray

HAEMATOCRIT: Final = (0.1, 0.75)  # from the gravest anaemia to the gravest polycythaemia


@dataclass(frozen=True, slots=True)
class HaematocritCalibration:
    """A site's own line from native blood T1 to haematocrit: ``slope_ms / T1 + intercept`` [2]_.

    Parameters
    ----------
    slope_ms, intercept : float
        The line.
    sequence : str
        Sequence of the T1 maps that it was made with, for example ``MOLLI 5(3)3``.
    field_strength_t : float
        Field strength that it was made at [T].
    source : str
        Where the line comes from: site, year, number of blood samples.

    Raises
    ------
    UsageError
        If a number is not finite, slope or field strength not positive, or a text is empty.
    """

    slope_ms: float
    intercept: float
    sequence: str
    field_strength_t: float
    source: str

    def __post_init__(self) -> None:
        numbers = (self.slope_ms, self.intercept, self.field_strength_t)
        if not np.isfinite(numbers).all() or self.slope_ms <= 0 or self.field_strength_t <= 0:
            msg = (
                f"Calibration of haematocrit is {self.slope_ms:g} ms / T1 + {self.intercept:g} at "
                f"{self.field_strength_t:g} T, expected finite numbers, slope and field strength positive."
            )
            raise UsageError(msg, field="haematocrit", hint="Blood with more red cells has a shorter T1.")
        if not (self.sequence.strip() and self.source.strip()):
            msg = (
                f"Calibration of haematocrit has sequence {self.sequence!r} and source {self.source!r}, expected both."
            )
            raise UsageError(msg, field="haematocrit", hint="State what it was measured with, where and on how many.")


@dataclass(frozen=True, slots=True)
class Haematocrit:
    """Haematocrit, measured or synthetic.

    Parameters
    ----------
    fraction : float
        From 0.1 to 0.75.
    calibration : HaematocritCalibration or None
        What a synthetic value was computed with; None for one measured in blood.

    Raises
    ------
    UsageError
        If it is no such fraction; a percentage is refused.
    """

    fraction: float
    calibration: HaematocritCalibration | None = None

    def __post_init__(self) -> None:
        low, high = HAEMATOCRIT
        if not low <= self.fraction <= high:
            msg = f"Haematocrit is {self.fraction:g}, expected a fraction from {low:g} to {high:g}."
            percent = 100 * low <= self.fraction <= 100 * high
            hint = "It looks like a percentage: divide it by 100." if percent else "Check the laboratory value."
            raise UsageError(msg, field="haematocrit", hint=hint)

    @property
    def synthetic(self) -> bool:
        """Whether it was computed from blood T1, not measured."""
        return self.calibration is not None


@dataclass(frozen=True, eq=False)
class EcvMap:
    """A map of extracellular volume, and what it was computed with.

    Parameters
    ----------
    ecv_pct : ndarray of float, shape (ni, nj[, nk])
        Extracellular volume [%]; NaN where a T1 is missing or not positive. Not clipped.
    quality : ndarray of bool, shape (ni, nj[, nk])
        Where it lies from 0 to 100 %.
    blood : BloodT1
        Blood values.
    haematocrit : Haematocrit
        Says whether it, and so the map, is synthetic.
    """

    ecv_pct: FloatArray
    quality: BoolArray
    blood: BloodT1
    haematocrit: Haematocrit

    @property
    def synthetic(self) -> bool:
        """Whether the haematocrit was computed from blood T1, not measured."""
        return self.haematocrit.synthetic


def ecv_pct(native_ms: float, post_ms: float, *, blood: BloodT1, haematocrit: Haematocrit) -> float:
    """Compute extracellular volume of myocardium from two T1 values.

    ``100 (1 - Hct) (1/T1myo,post - 1/T1myo,native) / (1/T1blood,post - 1/T1blood,native)``

    Parameters
    ----------
    native_ms, post_ms : float
        T1 of myocardium before and after contrast agent [ms].
    blood : BloodT1
        T1 of blood.
    haematocrit : Haematocrit
        Measured, or synthetic.

    Returns
    -------
    float
        Extracellular volume [%].

    Raises
    ------
    UsageError
        If a T1 is not positive, or looks like seconds.

    Examples
    --------
    >>> blood = BloodT1(native_ms=1600.0, post_ms=400.0)
    >>> round(ecv_pct(1000.0, 500.0, blood=blood, haematocrit=Haematocrit(0.4)), 6)
    32.0
    """
    for name, value in (("native", native_ms), ("post-contrast", post_ms)):
        refuse_seconds(float(value), f"{name} myocardial T1")
    return float(_ecv(np.asarray(native_ms), np.asarray(post_ms), blood, haematocrit))


def ecv_map(native_ms: ArrayLike, post_ms: ArrayLike, *, blood: BloodT1, haematocrit: Haematocrit) -> EcvMap:
    """Compute a map of extracellular volume from two T1 maps on one grid.

    Parameters
    ----------
    native_ms, post_ms : array_like of float, shape (ni, nj[, nk])
        Registered T1 maps [ms]; 0 or NaN where there is no value.
    blood : BloodT1
        T1 of blood.
    haematocrit : Haematocrit
        Measured, or synthetic.

    Returns
    -------
    EcvMap

    Raises
    ------
    GeometryError
        If the maps have different shapes.
    UsageError
        If a map has no positive value, or its median looks like seconds.
    """
    native, post = np.asarray(native_ms, dtype=np.float64), np.asarray(post_ms, dtype=np.float64)
    if native.shape != post.shape:
        msg = f"Post-contrast map has shape {post.shape}, native map {native.shape}, expected the same."
        raise GeometryError(msg, hint="Register the post-contrast map to the native one first.")
    for name, values in (("native", native), ("post-contrast", post)):
        there = values[np.isfinite(values) & (values > 0)]
        refuse_seconds(float(np.median(there)) if there.size else 0.0, f"median of the {name} T1 map")
    known = np.isfinite(native) & np.isfinite(post) & (native > 0) & (post > 0)
    ecv = np.full(native.shape, np.nan)
    ecv[known] = _ecv(native[known], post[known], blood, haematocrit)
    return EcvMap(ecv, np.asarray((ecv >= 0) & (ecv <= 100)), blood, haematocrit)


def synthetic_haematocrit(
    blood_native_ms: float, *, calibration: HaematocritCalibration, sequence: str, field_strength_t: float
) -> Haematocrit:
    """Estimate haematocrit from native blood T1, by a line made at the same site, sequence and field [2]_.

    Parameters
    ----------
    blood_native_ms : float
        T1 of blood without contrast agent [ms].
    calibration : HaematocritCalibration
        The line.
    sequence : str
        Sequence of the T1 map; must be that of the calibration.
    field_strength_t : float
        Field strength of the T1 map [T]; must be that of the calibration.

    Returns
    -------
    Haematocrit
        Marked as synthetic.

    Raises
    ------
    UsageError
        If sequence or field strength differ, T1 looks like seconds, or the result is no haematocrit.
    """
    refuse_seconds(float(blood_native_ms), "native blood T1")
    same_field = abs(field_strength_t - calibration.field_strength_t) <= 0.1
    if sequence != calibration.sequence or not same_field:
        msg = (
            f"Map is {sequence} at {field_strength_t:g} T, the calibration of haematocrit is for "
            f"{calibration.sequence} at {calibration.field_strength_t:g} T."
        )
        raise UsageError(msg, field="haematocrit", hint="Measure the haematocrit, or calibrate for this sequence.")
    return Haematocrit(calibration.slope_ms / blood_native_ms + calibration.intercept, calibration)


def _ecv(native: FloatArray, post: FloatArray, blood: BloodT1, haematocrit: Haematocrit) -> FloatArray:
    uptake = 1.0 / blood.post_ms - 1.0 / blood.native_ms
    return np.asarray(100.0 * (1.0 - haematocrit.fraction) * (1.0 / post - 1.0 / native) / uptake)
