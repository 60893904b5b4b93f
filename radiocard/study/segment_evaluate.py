"""How well an ensemble segments a cohort whose hearts a reader drew."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from radiocard.errors import Issue, NothingUsableError, RadiocardError, UsageError
from radiocard.image import LABELS_ACDC, PHASES, REGIONS, Case, Image, LabelMap, Phase
from radiocard.io.atomic import write_json, write_text
from radiocard.io.cohort import Cohort
from radiocard.models.identity import hash_image
from radiocard.segmentation.agreement import AgreementSummary, PatientAgreement, compare_patient, summarise
from radiocard.segmentation.backend import Ensemble, open_ensemble
from radiocard.specs import read_spec
from radiocard.study.extract import as_cohort
from radiocard.study.segment_predict import (
    Segmentation,
    SegmentedCase,
    findings,
    segment_images,
    segmentation,
    write_segmentation,
)

_BOOTSTRAP = 2000


@dataclass(frozen=True, eq=False)
class SegmentationEvidence:
    """Agreement of an ensemble's masks with a reader's.

    Parameters
    ----------
    summary : AgreementSummary
    patients : tuple of PatientAgreement
    masks : Segmentation
        What was compared.
    n_independent : int
        Patients with different images.
    """

    summary: AgreementSummary
    patients: tuple[PatientAgreement, ...]
    masks: Segmentation
    n_independent: int


def evaluate_segmentation(
    cohort: str | Path | Cohort,
    network: str | Path | Ensemble,
    *,
    flips: bool = True,
    progress: Callable[[object], None] | None = None,
) -> SegmentationEvidence:
    """Segment each case by networks that never saw it, and compare with the reader's masks.

    Parameters
    ----------
    cohort : str, Path or Cohort
        Cine at end-diastole and end-systole with masks.
    network : str, Path or Ensemble
        Folder that ``radiocard segment train`` wrote. On its own training cohort, each patient is segmented by
        the networks whose fold left the patient out.
    flips : bool
        Average over mirrored slices.
    progress : callable or None
        Called after each case.

    Returns
    -------
    SegmentationEvidence

    Raises
    ------
    UsageError
        If all networks learned from a patient: no honest figure can be had of it.
    NothingUsableError
        If no case is usable.
    """
    found = as_cohort(cohort)
    ensemble = network if isinstance(network, Ensemble) else open_ensemble(network)
    density = read_spec("cine_sax").cardiac.myocardial_density_g_ml
    cases: list[SegmentedCase] = []
    patients: list[PatientAgreement] = []
    people: dict[str, str] = {}
    issues: list[Issue] = []
    for ref in found.cases:
        try:
            case = ref.load()
            segmented = segment_case(case, ensemble, flips=flips)
            drawn = {phase: reader_mask(case, phase) for phase in segmented.phases}
            guessed = {phase: found_phase.mask for phase, found_phase in segmented.phases.items()}
            patients.append(compare_patient(guessed, drawn, patient_id=ref.patient_id, myocardial_density_g_ml=density))
            cases.append(segmented)
            people[ref.patient_id] = _person(case)
        except UsageError:
            raise
        except RadiocardError as error:
            issues += findings(error)
        if progress is not None:
            progress(ref)
    if not patients:
        msg = f"None of the {len(found.cases)} cases could be compared."
        raise NothingUsableError(msg, issues)
    summary = summarise(patients, n_bootstrap=_BOOTSTRAP, random_state=0, groups=people)
    masks = segmentation(cases, issues, ensemble, found)
    return SegmentationEvidence(summary, tuple(patients), masks, len(set(people.values())))


def segment_case(case: Case, ensemble: Ensemble, *, of: Case | None = None, flips: bool = True) -> SegmentedCase:
    """Segment a loaded case by networks that never saw it.

    Parameters
    ----------
    case : Case
    ensemble : Ensemble
    of : Case, optional
        The case as it was, where its images were changed: by these the networks that saw it are known.
    flips : bool
        Average over mirrored slices.

    Returns
    -------
    SegmentedCase

    Raises
    ------
    UsageError
        If every network learned from it.
    """
    images: dict[str, Image] = {phase: case.images["cine", phase] for phase in PHASES if ("cine", phase) in case.images}
    known = images if of is None else {phase: of.images["cine", phase] for phase in images}
    networks = ensemble.unseen([hash_image(image.digest()) for image in known.values()])
    if images and not networks:
        msg = "Every network learned from these images: no honest figure can be had."
        hint = "Evaluate an ensemble of several folds on its own cohort, or on other patients."
        raise UsageError(msg, case=case.patient_id, hint=hint)
    return segment_images(
        images, ensemble, patient_id=case.patient_id, networks=networks, flips=flips, simulated=case.simulated
    )


def reader_mask(case: Case, phase: Phase) -> LabelMap:
    """Return a reader's mask with the label numbers of ACDC."""
    mask = case.masks["cine", phase]
    out = mask.array * 0
    for region in REGIONS:
        out[mask.array == mask.labels[region]] = LABELS_ACDC[region]
    return LabelMap(out, mask.affine, mask.oriented, dict(LABELS_ACDC))


def write_evidence(evidence: SegmentationEvidence, output: str | Path) -> list[Path]:
    """Write masks, manifest and record as :func:`write_segmentation` does, the agreement, and a row per mask.

    Returns
    -------
    list of Path
        Manifest, ``agreement.json`` and ``agreement.csv``.
    """
    folder = Path(output)
    manifest = write_segmentation(evidence.masks, folder)
    write_json(evidence_dict(evidence), folder / "agreement.json")
    buffer = io.StringIO()
    rows = mask_rows(evidence)
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(buffer.getvalue(), folder / "agreement.csv")
    return [manifest, folder / "agreement.json", folder / "agreement.csv"]


def evidence_dict(evidence: SegmentationEvidence) -> dict[str, Any]:
    """Return the summary as plain data for JSON."""
    return {
        "schema": "radiocard/segmentation-evidence/1",
        "network_id": evidence.masks.network_id,
        "backend": evidence.masks.backend,
        "n_patients": evidence.summary.n_patients,
        "n_independent": evidence.n_independent,
        "n_cases": evidence.masks.n_cases,
        "dice": {name: asdict(spread) for name, spread in evidence.summary.dice.items()},
        "hd95_mm": {name: asdict(spread) for name, spread in evidence.summary.hd95_mm.items()},
        "measures": {name: asdict(found) for name, found in evidence.summary.measures.items()},
        "issues": [issue.to_dict() for issue in evidence.masks.issues],
    }


def mask_rows(evidence: SegmentationEvidence) -> list[dict[str, Any]]:
    """Return one row per patient, phase and region: Dice, HD95 [mm], both volumes [mL], the verdict."""
    rows = []
    for patient, case in zip(evidence.patients, evidence.masks.cases, strict=True):
        for (phase, region), overlap in patient.regions.items():
            verdict = case.phases[cast("Phase", phase)].decision.verdict
            row: Mapping[str, Any] = {"patient_id": patient.patient_id, "phase": phase, "region": region}
            rows.append({**row, **asdict(overlap), "verdict": verdict})
    return rows


def _person(case: Case) -> str:
    return "-".join(sorted(hash_image(image.digest()) for image in case.images.values()))
