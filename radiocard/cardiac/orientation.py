"""Which way the heart lies: base and apex, septum, and the proof that anterior is anterior.

The right ventricle's mask marks the septum but not which of its two ends is anterior.
Seen from the apex, with the septum on the viewer's left, anterior is up: (-septum),
anterior and base-to-apex form a right-handed triad, so

    anterior = septum x base-to-apex        (world axes, RAS+)

This needs a true direction matrix. It is proved against anatomy: base to apex must point
left, anterior and inferior, and the right ventricle must lie to the patient's right. In a
single slice base to apex is the slice's normal that points inferior, whichever way it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radiocard.image import FloatArray, LabelMap

LEFT_ANTERIOR_INFERIOR = np.array([-1.0, 1.0, -1.0])
MIN_COMPONENT = 0.05  # about 3 degrees out of the plane, well above rounding in headers
ASSUMPTION = (
    "so anterior and inferior are not proven; segments are numbered as if the slices were seen "
    "from the apex with the file's left on the right and its anterior up."
)


@dataclass(frozen=True, slots=True)
class OrientationProof:
    """Whether anterior and inferior are proven, and why or why not.

    Parameters
    ----------
    proven : bool
        True when the direction matrix agrees with the anatomy of the masks.
    reason : str
        One sentence for a report.
    """

    proven: bool
    reason: str


@dataclass(frozen=True, eq=False)
class HeartAxes:
    """Directions of one heart in one grid.

    Parameters
    ----------
    apex_step : int
        +1 when the slice index grows from base to apex, -1 when it falls, 0 when the masks do not tell.
    turn : int
        +1 when anterior lies at +90 degrees from the septal direction in the plane
        (first axis towards second axis), -1 when at -90 degrees.
    base_to_apex, septal : ndarray of float, shape (3,)
        Unit vectors in RAS+ by the file's direction matrix.
    proof : OrientationProof
        Whether these directions can be trusted.
    """

    apex_step: int
    turn: int
    base_to_apex: FloatArray
    septal: FloatArray
    proof: OrientationProof


def heart_axes(mask: LabelMap) -> HeartAxes:
    """Find base, apex and septum of a short-axis stack and prove its orientation.

    Parameters
    ----------
    mask : LabelMap
        ``lv_cavity``, ``lv_myocardium`` and ``rv_cavity``; the last axis is the slice axis.

    Returns
    -------
    HeartAxes

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    directions = _directions(mask)
    step = _caudal(directions) if _one_slice(mask) else apex_step(mask)
    base_to_apex = step * directions[:, 2]
    septal = _septal_direction(mask, directions)
    proof = _prove(mask.oriented, step, base_to_apex, septal)
    return HeartAxes(step or _caudal(directions), _turn(directions), base_to_apex, septal, proof)


def axes_in_grid(axes: HeartAxes, mask: LabelMap) -> HeartAxes:
    """Carry the directions of one phase over to another phase of the same heart.

    Parameters
    ----------
    axes : HeartAxes
        Directions found at end-diastole.
    mask : LabelMap
        Regions of the other phase, perhaps stored in another order.

    Returns
    -------
    HeartAxes
        The same heart; steps and turns are those of the other grid.
    """
    directions = _directions(mask)
    step = _sign(float(directions[:, 2] @ axes.base_to_apex)) or axes.apex_step
    return replace(axes, apex_step=step, turn=_turn(directions))


def apex_step(mask: LabelMap) -> int:
    """Tell the apex from the base by the shape of the heart.

    The right ventricle ends above the apex and the left ventricle tapers towards it, so the
    centres of mass of both lie on the basal side of the middle of the left ventricle's extent.

    Parameters
    ----------
    mask : LabelMap
        Regions; the last axis is the slice axis.

    Returns
    -------
    int
        +1 when the slice index grows towards the apex, -1 when it falls, 0 when undecided.

    Raises
    ------
    MaskError
        If a region is unknown or empty.
    """
    lv = (mask.mask("lv_cavity") | mask.mask("lv_myocardium")).sum(axis=(0, 1))
    rv = mask.mask("rv_cavity").sum(axis=(0, 1))
    k = np.arange(lv.size)
    extent = k[lv > 0]
    middle = (extent[0] + extent[-1]) / 2.0
    towards_apex = 2.0 * middle - (k @ lv) / lv.sum() - (k @ rv) / rv.sum()
    return _sign(float(towards_apex))


def _directions(mask: LabelMap) -> FloatArray:
    return np.asarray(mask.affine, dtype=float)[:3, :3] / np.asarray(mask.spacing_mm)


def _one_slice(mask: LabelMap) -> bool:
    """Tell a heart in a single slice, which has no base and no apex that could be mixed up."""
    drawn = mask.mask("lv_cavity") | mask.mask("lv_myocardium")
    return int(drawn.any(axis=(0, 1)).sum()) == 1


def _caudal(directions: FloatArray) -> int:
    """Step of the slice index that points left, anterior and inferior rather than the other way."""
    return _sign(float(directions[:, 2] @ LEFT_ANTERIOR_INFERIOR)) or 1


def _turn(directions: FloatArray) -> int:
    """Sense of the rotation from septum to anterior; septum x base-to-apex, with the apex caudal."""
    return -_caudal(directions) * _sign(float(np.linalg.det(directions)))


def _septal_direction(mask: LabelMap, axes: FloatArray) -> FloatArray:
    """Return the unit vector in the slice plane from the left to the right ventricle [RAS+]."""
    rv, lv = mask.mask("rv_cavity"), mask.mask("lv_cavity")
    both = rv.any(axis=(0, 1)) & lv.any(axis=(0, 1))
    offset = np.zeros(2)
    for k in np.flatnonzero(both):
        area = rv[:, :, k].sum()
        offset += area * (np.argwhere(rv[:, :, k]).mean(axis=0) - np.argwhere(lv[:, :, k]).mean(axis=0))
    direction = axes[:, :2] @ (offset * np.asarray(mask.spacing_mm[:2]))
    norm = float(np.linalg.norm(direction))
    return direction / norm if norm > 0 else direction


def _prove(oriented: bool, step: int, base_to_apex: FloatArray, septal: FloatArray) -> OrientationProof:
    if not oriented:
        return OrientationProof(False, f"The file states no orientation, {ASSUMPTION}")
    if step == 0:
        return OrientationProof(False, f"The masks do not tell base from apex, {ASSUMPTION}")
    names = (("left", "right"), ("anterior", "posterior"), ("inferior", "superior"))
    components = base_to_apex * LEFT_ANTERIOR_INFERIOR
    for (wanted, opposite), value in zip(names, components.tolist(), strict=True):
        if value < MIN_COMPONENT:
            found = f"points {opposite}" if value < -MIN_COMPONENT else f"does not point {wanted}"
            reason = f"By the file, base to apex {found}, {ASSUMPTION}"
            return OrientationProof(False, reason)
    if septal[0] < MIN_COMPONENT:
        reason = f"By the file, the right ventricle does not lie to the patient's right, {ASSUMPTION}"
        return OrientationProof(False, reason)
    return OrientationProof(
        True, "By the file, base to apex points left, anterior and inferior, and the right ventricle lies to the right."
    )


def _sign(value: float) -> int:
    return 0 if abs(value) < 1e-9 else (1 if value > 0 else -1)
