"""One case to the heart's measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from radiocard.cardiac.function import Values, function_values, sphericity
from radiocard.cardiac.orientation import OrientationProof, axes_in_grid, heart_axes
from radiocard.cardiac.regional import motion_values, thickening_values, thickness_values
from radiocard.cardiac.segments import SegmentMap, map_segments
from radiocard.cardiac.wall import WallSamples, wall_samples
from radiocard.errors import MaskError
from radiocard.image import PHASES, Case, LabelMap
from radiocard.specs import CardiacSettings


@dataclass(frozen=True, eq=False)
class HeartMeasures:
    """What was measured in one heart.

    Parameters
    ----------
    values : dict of str to float or None
        Every column of :data:`radiocard.cardiac.dictionary.CLINICAL`; None where undefined.
    proof : OrientationProof
        Whether anterior and inferior segments are proven.
    segments : mapping of str to SegmentMap
        By phase.
    wall : mapping of str to WallSamples
        By phase, for pictures.
    """

    values: Values
    proof: OrientationProof
    segments: Mapping[str, SegmentMap]
    wall: Mapping[str, WallSamples]


def measure(case: Case, settings: CardiacSettings) -> HeartMeasures:
    """Measure volumes, mass, wall thickness, thickening and shape of one heart.

    Parameters
    ----------
    case : Case
        With ``cine`` masks at end-diastole and end-systole; the last axis is the slice axis.
    settings : CardiacSettings
        Conventions of the specification.

    Returns
    -------
    HeartMeasures

    Raises
    ------
    MaskError
        If a phase is missing (``E_PHASE``), or a region is unknown or empty.
    """
    masks: dict[str, LabelMap] = {phase: _mask(case, phase) for phase in PHASES}
    axes = heart_axes(masks["ed"])
    segments = {phase: map_segments(mask, axes_in_grid(axes, mask)) for phase, mask in masks.items()}
    wall = {phase: wall_samples(mask, segments[phase]) for phase, mask in masks.items()}
    values = function_values(masks["ed"], masks["es"], case.clinical, settings)
    for phase in PHASES:
        values |= thickness_values(wall[phase], phase)
        values[f"sphericity_{phase}"] = sphericity(masks[phase])
    values["mwt_max_mm"] = values.pop("mwt_max_ed_mm")
    values |= thickening_values(values)
    values |= motion_values(wall["ed"], wall["es"])
    return HeartMeasures({k: _plain(v) for k, v in values.items()}, axes.proof, segments, wall)


def _mask(case: Case, phase: str) -> LabelMap:
    if ("cine", phase) not in case.masks:
        msg = f"There is no cine mask at {phase.upper()}; measuring the heart needs ED and ES."
        raise MaskError(msg, code="E_PHASE", case=case.patient_id, field=f"cine_{phase}.mask")
    return case.masks["cine", phase]


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
