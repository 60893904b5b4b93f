"""One case to one row of the table: read, check, measure, describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from radiocard.cardiac.measure import HeartMeasures, measure
from radiocard.checks.case import check_case
from radiocard.checks.physiology import check_measures
from radiocard.errors import CaseError, CaseRefusedError, Issue, RadiocardError
from radiocard.features.extract import extract_case_texture
from radiocard.image import Case
from radiocard.io.cohort import CaseRef
from radiocard.specs import FeatureSpec

COVARIATES = ("diagnosis", "sex", "age_y", "height_cm", "weight_kg", "site", "vendor", "field_strength_t")
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
    case: Case, spec: FeatureSpec, *, texture: bool = True, heart: HeartMeasures | None = None
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
    heart : HeartMeasures or None
        Measured here when None.

    Returns
    -------
    values : dict of str to object
        Covariates, provenance, clinical measurements and texture.
    issues : list of Issue
        Warnings found on the way.
    """
    heart = heart or measure(case, spec.cardiac)
    issues = check_measures(heart.values, spec.checks, case.patient_id)
    if not heart.proof.proven:
        issues.append(Issue("W_ORIENTATION", heart.proof.reason, case.patient_id))
    values: dict[str, Any] = {name: case.clinical.get(name) for name in COVARIATES}
    values |= {name: value for name, value in case.clinical.items() if name not in values}
    values["simulated"] = case.simulated
    values["image_sha256"] = image_digest(case, spec)
    values["orientation_proven"] = heart.proof.proven
    values["flags"] = ""
    values |= heart.values
    if texture:
        columns, found = extract_case_texture(case, spec)
        values |= columns
        issues += found
    return values, issues


def image_digest(case: Case, spec: FeatureSpec) -> str:
    """Return one SHA-256 over the grey values of all phases, equal for bit-identical images."""
    return "-".join(case.images[spec.sequence, phase].digest()[:32] for phase in spec.phases)


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


def _with_case(issue: Issue, patient_id: str) -> Issue:
    return issue if issue.case else replace(issue, case=patient_id)
