"""One slice to another: the alignment and every reason not to trust it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from radiocard.image import Image
from radiocard.preprocessing.register_grid import covered, matches, values_at
from radiocard.preprocessing.register_optimise import Fit, optimise
from radiocard.preprocessing.register_similarity import Peak, Ruler, search_shift
from radiocard.specs.registration import RegistrationSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_LEAST_VALUES = 3


class Failure(enum.StrEnum):
    """Why an alignment is not used."""

    NO_OVERLAP = "no_overlap"
    FLAT = "flat"
    INDISTINCT = "indistinct"
    OPTIMISER = "optimiser"
    SHIFT = "shift"
    TURN = "turn"
    DEFORMATION = "deformation"
    FOLDING = "folding"
    NOT_IMPROVED = "not_improved"


@dataclass(frozen=True, eq=False)
class SliceAlignment:
    """What was found for one slice; numbers that were not reached are NaN.

    Parameters
    ----------
    k : int
        Slice of the fixed image.
    reasons : mapping of Failure to str
        Why the alignment is not used; empty if it is.
    similarity_before, similarity_after : float
        Entropy correlation coefficient over the same pixels (see :mod:`register_similarity`).
    shift_mm : float
        Mean displacement of the region [mm].
    turn_deg : float
        Rotation [degree].
    deformation_mm : float
        Largest displacement beyond the rigid one in the region [mm].
    jacobian_min : float
        Smallest local change of area in the region; folded where not positive.
    distinctness, runner_up : float
        See :class:`register_similarity.Peak`.
    displacement_mm : ndarray of float, shape (ni, nj, 2) or None
        From each fixed pixel to its match along ``i, j`` [mm]; kept where it failed too, for inspection.
    """

    k: int
    reasons: Mapping[Failure, str] = field(default_factory=dict)
    similarity_before: float = float("nan")
    similarity_after: float = float("nan")
    shift_mm: float = float("nan")
    turn_deg: float = float("nan")
    deformation_mm: float = float("nan")
    jacobian_min: float = float("nan")
    distinctness: float = float("nan")
    runner_up: float = float("nan")
    displacement_mm: Floats | None = None

    @property
    def succeeded(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def align_slice(
    fixed: Image, moving: Image, k: int, *, heart: Bools, region: Bools, settings: RegistrationSettings
) -> SliceAlignment:
    """Align one slice.

    Parameters
    ----------
    fixed, moving : Image
        Both in the same world.
    k : int
        Slice of the fixed image.
    heart, region : ndarray of bool, shape (ni, nj)
        What matters, and what is compared: the mask and its margin.
    settings : RegistrationSettings

    Returns
    -------
    SliceAlignment
    """
    spacing = (fixed.spacing_mm[0], fixed.spacing_mm[1])
    places = matches(fixed, moving, k)
    seen = covered(places, moving.array.shape)
    still = np.asarray(fixed.array[:, :, k], dtype=np.float64)
    other = np.asarray(values_at(moving.array, places, nearest=False), dtype=np.float64)
    unusable = _unusable(still, other, heart=heart, region=region, seen=seen, settings=settings)
    if unusable:
        return SliceAlignment(k, unusable)
    ruler = Ruler.of(still, region, spacing_mm=spacing, settings=settings)
    peak = search_shift(ruler, ruler.prepared(other, seen), seen)
    if peak is None:
        return SliceAlignment(k, {Failure.NO_OVERLAP: "no shift leaves enough of the region in both images"})
    indistinct = _indistinct(peak, settings)
    if indistinct:
        why = {Failure.INDISTINCT: indistinct}
        return SliceAlignment(k, why, distinctness=peak.distinctness, runner_up=peak.runner_up)
    try:
        fit = optimise(
            still, other, region=region, seen=seen, spacing_mm=spacing, start_mm=peak.shift_mm, settings=settings
        )
    except RuntimeError:
        msg = "the optimiser gave up: too few pixels of the region were left in both images"
        return SliceAlignment(k, {Failure.OPTIMISER: msg})
    return _judged(fixed, moving, k, fit=fit, peak=peak, ruler=ruler, heart=heart, unmoved=other)


def _unusable(
    fixed: Floats, moving: Floats, *, heart: Bools, region: Bools, seen: Bools, settings: RegistrationSettings
) -> dict[Failure, str]:
    part = float(seen[heart].mean())
    if part < settings.min_overlap:
        return {Failure.NO_OVERLAP: _overlap_text(part, settings)}
    for name, values in (("fixed", fixed[region]), ("moving", moving[region & seen])):
        if len(np.unique(values)) < _LEAST_VALUES:
            return {Failure.FLAT: f"the {name} image is flat: fewer than {_LEAST_VALUES} grey values in the region"}
    return {}


def _overlap_text(part: float, settings: RegistrationSettings) -> str:
    return f"{100 * part:.0f} % of the region lie in both images, expected at least {100 * settings.min_overlap:g} %"


def _indistinct(peak: Peak, settings: RegistrationSettings) -> str:
    if peak.distinctness < settings.min_distinctness:
        return (
            f"the best shift stands out by {peak.distinctness:.1f} robust standard deviations, "
            f"expected at least {settings.min_distinctness:g}: noise, or other anatomy"
        )
    if peak.runner_up > settings.max_runner_up:
        return (
            f"another shift is {100 * peak.runner_up:.0f} % as good as the best, "
            f"expected at most {100 * settings.max_runner_up:g} %"
        )
    return ""


def _judged(
    fixed: Image, moving: Image, k: int, *, fit: Fit, peak: Peak, ruler: Ruler, heart: Bools, unmoved: Floats
) -> SliceAlignment:
    """Measure an alignment, and list what speaks against it."""
    places = matches(fixed, moving, k, fit.field_mm)
    moved = np.asarray(values_at(moving.array, places, nearest=False), dtype=np.float64)
    now = covered(places, moving.array.shape)
    both = now & covered(matches(fixed, moving, k), moving.array.shape)
    before, after = (ruler.similarity(ruler.prepared(image, ruler.region & both), both) for image in (unmoved, moved))
    largest = float(np.linalg.norm(fit.field_mm, axis=-1)[heart].max())
    step = ruler.settings.search_step_mm
    in_place = float(np.hypot(*peak.shift_mm)) < 0.5 * step and largest < step  # among all shifts none is the best
    stays = not after > before and (in_place or largest < 0.5 * min(ruler.spacing_mm))
    found = SliceAlignment(
        k,
        {},
        similarity_before=before,
        similarity_after=after,
        shift_mm=float(np.hypot(*fit.field_mm[heart].mean(axis=0))),
        turn_deg=fit.turn_deg,
        deformation_mm=float(np.linalg.norm(fit.field_mm - fit.rigid_mm, axis=-1)[heart].max()),
        jacobian_min=float(jacobian_of(fit.field_mm, ruler.spacing_mm)[ruler.region].min()),
        distinctness=peak.distinctness,
        runner_up=peak.runner_up,
        displacement_mm=np.zeros_like(fit.field_mm) if stays else fit.field_mm,
    )
    reasons = _beyond_limits(found, ruler.settings)
    if fit.stopped_at_limit:
        reasons[Failure.OPTIMISER] = f"stopped after {ruler.settings.max_iterations} iterations"
    if float(now[heart].mean()) < ruler.settings.min_overlap:
        reasons[Failure.NO_OVERLAP] = _overlap_text(float(now[heart].mean()), ruler.settings)
    if not (after > before or stays):
        reasons[Failure.NOT_IMPROVED] = f"similarity did not improve: {before:.3f} before, {after:.3f} after"
    return replace(found, reasons=reasons)


def _beyond_limits(found: SliceAlignment, settings: RegistrationSettings) -> dict[Failure, str]:
    limits = (
        (Failure.SHIFT, "shift", "mm", found.shift_mm, settings.max_shift_mm),
        (Failure.TURN, "turn", "degrees", abs(found.turn_deg), settings.max_turn_deg),
        (Failure.DEFORMATION, "deformation", "mm", found.deformation_mm, settings.max_deformation_mm),
    )
    reasons = {
        failure: f"{name} of {value:.1f} {unit}, expected at most {limit:g}"
        for failure, name, unit, value, limit in limits
        if not value <= limit
    }
    if not found.jacobian_min > 0:
        reasons[Failure.FOLDING] = f"folding: smallest Jacobian {found.jacobian_min:.2f}, expected above 0"
    return reasons


def jacobian_of(field_mm: Floats, spacing_mm: tuple[float, float]) -> Floats:
    """Return the local change of area of a displacement.

    Parameters
    ----------
    field_mm : ndarray of float, shape (ni, nj, 2)
        Displacement along ``i, j`` [mm].
    spacing_mm : tuple of float
        Pixel spacing along ``i, j`` [mm].

    Returns
    -------
    ndarray of float, shape (ni, nj)
        1 where nothing is stretched, not positive where it folds.
    """
    ii, ij = np.gradient(field_mm[..., 0], *spacing_mm)
    ji, jj = np.gradient(field_mm[..., 1], *spacing_mm)
    return np.asarray((1 + ii) * (1 + jj) - ij * ji)
