"""One case to one row of the table: read, check, measure, describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from radiocard.cardiac.map_dictionary import map_columns
from radiocard.cardiac.maps import MapMeasures, measure_maps
from radiocard.cardiac.measure import HeartMeasures, measure
from radiocard.cardiac.scar import ScarMeasures, lge_entropy_bit, measure_lge, measure_scar_mask
from radiocard.checks.case import check_case
from radiocard.checks.physiology import check_measures
from radiocard.errors import CaseError, CaseRefusedError, Issue, RadiocardError
from radiocard.features.extract import extract_case_texture
from radiocard.image import DRAWN_SCAR, LGE, STILL, Case, LabelMap
from radiocard.io.cohort import CaseRef
from radiocard.specs import FeatureSpec

COVARIATES = ("diagnosis", "sex", "age_y", "height_cm", "weight_kg", "site", "vendor", "field_strength_t")
Measures = HeartMeasures | MapMeasures | ScarMeasures
PROVENANCE = ("simulated", "image_sha256", "orientation_proven", "flags")


@dataclass(frozen=True)
class CaseResult:
    """What became of one case.

    Parameters
    ----------
    patient_id : str
        Pseudonym.
    values : dict or None
        The row; None when the case was refused.
    issues : tuple of Issue
        Every finding, refused or not.
    """

    patient_id: str
    values: dict[str, Any] | None
    issues: tuple[Issue, ...]


def case_row(ref: CaseRef, spec: FeatureSpec, *, texture: bool = True) -> CaseResult:
    """Turn one case into one row; a case that fails its checks gives issues and no number.

    Parameters
    ----------
    ref : CaseRef
        Where the case lies.
    spec : FeatureSpec
        What to compute.
    texture : bool
        Whether to describe texture; validation does not need it.

    Returns
    -------
    CaseResult

    Raises
    ------
    SpecError, MissingExtraError
        If the engine cannot honour the specification; this concerns every case.
    """
    try:
        case = ref.load()
        issues = check_case(case, spec)
        refuse_if_needed(issues)
        values, found = describe_case(case, spec, texture=texture)
        refuse_if_needed([*issues, *found])
    except CaseRefusedError as error:
        return CaseResult(ref.patient_id, None, error.issues)
    except CaseError as error:
        return CaseResult(ref.patient_id, None, (_with_case(error.issue, ref.patient_id),))
    except (RadiocardError, MemoryError):
        raise
    except Exception as error:  # one odd case must not end a run of thousands
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"Unexpected {type(error).__name__}: {reason}"
        return CaseResult(ref.patient_id, None, (Issue("E_CRASHED", message, ref.patient_id),))
    issues = [*issues, *found]
    values["flags"] = " ".join(sorted({issue.code for issue in issues}))
    return CaseResult(ref.patient_id, values, tuple(_with_case(issue, ref.patient_id) for issue in issues))


def describe_case(
    case: Case, spec: FeatureSpec, *, texture: bool = True, heart: Measures | None = None
) -> tuple[dict[str, Any], list[Issue]]:
    """Measure a checked case and describe its texture.

    Parameters
    ----------
    case : Case
        A case that passed :func:`radiocard.checks.case.check_case`.
    spec : FeatureSpec
        What to compute.
    texture : bool
        Whether to describe texture.
    heart : HeartMeasures, MapMeasures, ScarMeasures or None
        Measured here when None.

    Returns
    -------
    values : dict of str to object
        Covariates, provenance, clinical measurements and texture.
    issues : list of Issue
        Warnings found on the way.
    """
    heart = heart or measure_case(case, spec)
    issues = _judge(heart, spec, case.patient_id)
    if not heart.proof.proven:
        issues.append(Issue("W_ORIENTATION", heart.proof.reason, case.patient_id))
    values: dict[str, Any] = {name: case.clinical.get(name) for name in COVARIATES}
    values |= {name: value for name, value in case.clinical.items() if name not in values}
    values["simulated"] = case.simulated
    values["image_sha256"] = image_digest(case, spec)
    values["orientation_proven"] = heart.proof.proven
    values["flags"] = ""
    values |= _measured(heart, spec)
    if texture:
        columns, found = extract_case_texture(texture_case(case, spec, heart), spec)
        values |= columns
        issues += found
    return values, issues


def measure_case(case: Case, spec: FeatureSpec) -> Measures:
    """Measure what the specification is about: the moving heart, its maps, or its scar.

    Scar that was drawn is measured as drawn; else it is found in the image.
    """
    if spec.maps is not None:
        return measure_maps(case, spec.maps)
    if spec.scar is None:
        return measure(case, spec.cardiac)
    mask, drawn = case.masks[LGE, STILL], case.masks.get((DRAWN_SCAR, STILL))
    if drawn is None:
        return measure_lge(case.images[LGE, STILL], mask, spec.scar, spec.cardiac)
    scar, dark = (
        drawn.array == drawn.labels[name] if name in drawn.labels else None for name in ("lv_scar", "no_reflow")
    )
    nothing = np.zeros(mask.array.shape, dtype=bool)
    found = measure_scar_mask(nothing if scar is None else scar, mask, spec.cardiac, no_reflow=dark)
    entropy = lge_entropy_bit(case.images[LGE, STILL], mask, spec.scar.entropy)
    return replace(found, values=found.values | {"lge_entropy_bit": entropy})


def texture_case(case: Case, spec: FeatureSpec, heart: Measures) -> Case:
    """Return a case whose masks hold what texture is described in.

    On a map that is the myocardium without its borders and without pixels that were not fitted;
    any other case is returned as it is.
    """
    if not isinstance(heart, MapMeasures):
        return case
    masks = dict(case.masks)
    for key in spec.keys:
        mask, pixels = masks[key], case.images[key].array
        left_out = mask.mask("lv_myocardium") & ~(heart.regions[key[0]].kept & (pixels > 0))
        masks[key] = LabelMap(np.where(left_out, 0, mask.array), mask.affine, mask.oriented, labels=mask.labels)
    return replace(case, masks=masks)


def image_digest(case: Case, spec: FeatureSpec) -> str:
    """Return one SHA-256 over the grey values of all phases, equal for bit-identical images."""
    return "-".join(case.images[key].digest()[:32] for key in spec.keys)


def refuse_if_needed(issues: Iterable[Issue]) -> None:
    """Raise when a finding refuses the case.

    Raises
    ------
    CaseRefusedError
        Carries all findings.
    """
    found = tuple(issues)
    if any(issue.severity == "refuse" for issue in found):
        raise CaseRefusedError(found)


def _measured(heart: Measures, spec: FeatureSpec) -> dict[str, Any]:
    """Return the measurements; None for each column of a map that the case does not have."""
    if spec.maps is None:
        return dict(heart.values)
    return dict.fromkeys(map_columns(spec.maps.sequences)) | heart.values


def _judge(heart: Measures, spec: FeatureSpec, case_id: str) -> list[Issue]:
    if isinstance(heart, MapMeasures):
        return list(heart.issues)
    if isinstance(heart, ScarMeasures):
        skipped = ", ".join(str(k + 1) for k in heart.scar.not_judged)
        message = f"No scar was looked for in slice {skipped}: it is too small for a remote region."
        return [Issue("W_SLICES", message, case_id, "lge.mask", "Look at these slices.")] if skipped else []
    return check_measures(heart.values, spec.checks.physiology, case_id) if spec.checks.physiology else []


def _with_case(issue: Issue, patient_id: str) -> Issue:
    return issue if issue.case else replace(issue, case=patient_id)
