"""Masks of a cohort by an ensemble of networks, written as a cohort that everything else reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from radiocard.errors import CohortError, Issue, NothingUsableError, RadiocardError, UsageError
from radiocard.image import LABELS_ACDC, PHASES, Image, LabelMap, Phase
from radiocard.io.atomic import write_json, write_text
from radiocard.io.case_ref import CaseRef
from radiocard.io.cohort import MANIFEST, Cohort
from radiocard.io.delimited import cell_text, format_delimited, neutralise
from radiocard.io.nifti import write_image
from radiocard.io.unsegmented import CINE, load_images, read_unsegmented
from radiocard.models.identity import hash_image
from radiocard.segmentation.backend import Ensemble, Network, open_ensemble
from radiocard.segmentation.clean import Cleaning, clean_mask, most_probable
from radiocard.segmentation.confidence import RegionConfidence, region_confidence
from radiocard.segmentation.frames import find_phases
from radiocard.segmentation.predict import predict_images
from radiocard.segmentation.probabilities import Probabilities
from radiocard.segmentation.quality import Decision, decide
from radiocard.segmentation.quality_features import pair_features, quality_features
from radiocard.segmentation.quality_model import QualityModel
from radiocard.specs import read_spec

RECORD = "segmentation.json"
_MASKS = "masks"
_SIMULATED = "The network learned from simulated hearts, and this one is real: do not use its masks."
_ORDER: Mapping[str, int] = {"accept": 0, "warn": 1, "ask": 2}


@dataclass(frozen=True, eq=False)
class SegmentedPhase:
    """The mask of one phase and what is known of it.

    Parameters
    ----------
    mask : LabelMap
        Cleaned; labels as in ACDC.
    cleaning : Cleaning
    confidence : dict of str to RegionConfidence
        By region.
    features : dict of str to float or None
        Quality features.
    decision : Decision
    frame : int or None
        Of a whole cine, from 0.
    """

    mask: LabelMap
    cleaning: Cleaning
    confidence: dict[str, RegionConfidence]
    features: dict[str, float | None]
    decision: Decision
    frame: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all but the mask as plain data for JSON."""
        return {
            "frame": self.frame,
            "decision": self.decision.to_dict(),
            "confidence": {name: c.to_dict() for name, c in self.confidence.items()},
            "cleaning": self.cleaning.to_dict(),
            "features": self.features,
        }


@dataclass(frozen=True, eq=False)
class SegmentedCase:
    """The masks of one patient.

    Parameters
    ----------
    patient_id : str
    phases : mapping of {'ed', 'es'} to SegmentedPhase
    n_networks : int
        How many answered.
    seconds : float
    issues : tuple of Issue
    """

    patient_id: str
    phases: Mapping[Phase, SegmentedPhase]
    n_networks: int
    seconds: float
    issues: tuple[Issue, ...] = ()

    @property
    def verdict(self) -> str:
        """The gravest of the phases: ``accept``, ``warn`` or ``ask``."""
        return max((p.decision.verdict for p in self.phases.values()), key=lambda v: _ORDER[v])

    @property
    def confidence(self) -> float | None:
        """Mean probability of the least certain region of any phase."""
        found = [c.probability for p in self.phases.values() for c in p.confidence.values()]
        return min((value for value in found if value is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the masks as plain data for JSON."""
        return {
            "patient_id": self.patient_id,
            "verdict": self.verdict,
            "n_networks": self.n_networks,
            "seconds": self.seconds,
            "phases": {phase: found.to_dict() for phase, found in self.phases.items()},
            "issues": [issue.to_dict() for issue in self.issues],
        }


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The masks of a cohort.

    Parameters
    ----------
    cases : tuple of SegmentedCase
    issues : tuple of Issue
        Of cases that could not be segmented.
    network_id, short_id : str
        Of the ensemble.
    backend : str
    n_cases : int
        Cases that were asked for.
    """

    cases: tuple[SegmentedCase, ...]
    issues: tuple[Issue, ...]
    network_id: str
    short_id: str
    backend: str
    n_cases: int
    refs: Mapping[str, CaseRef] = field(default_factory=dict)


def segment_images(
    images: Mapping[str, Image],
    ensemble: Ensemble,
    *,
    patient_id: str,
    networks: tuple[Network, ...] | None = None,
    flips: bool = True,
    simulated: bool | None = None,
) -> SegmentedCase:
    """Segment one heart.

    Parameters
    ----------
    images : mapping of str to Image
        ``ed`` and ``es``, or the frames of a whole cine, ``0``, ``1``, and so on, in which the first network
        finds the two phases.
    ensemble : Ensemble
        Its networks that learned from none of the images answer; all of them where each did, with a warning.
    patient_id : str
        Pseudonym.
    networks : tuple of Network, optional
        Those of the ensemble that answer, where it is known.
    flips : bool
        Average over mirrored slices.
    simulated : bool, optional
        Whether the heart is simulated, where it is known.

    Returns
    -------
    SegmentedCase

    Raises
    ------
    UsageError
        If a cine has too few frames, or the images are neither phases nor frames.
    CaseError
        If an image cannot be used.
    """
    started = time.perf_counter()
    recipe = ensemble.card.recipe
    unseen = networks or ensemble.unseen([hash_image(image.digest()) for image in images.values()])
    issues = [] if unseen else [_seen(patient_id)]
    if ensemble.card.simulated and simulated is False:
        issues.append(Issue("W_SIMULATED_MODEL", _SIMULATED, patient_id, "mask", "Train a network on real hearts."))
    answering = unseen or ensemble.networks
    chosen, frames, doubts = _phases(images, answering, ensemble, patient_id)
    found = predict_images(chosen, answering, recipe, flips=flips)
    parts = {phase: clean_mask(_oriented(most_probable(p), chosen[phase])) for phase, p in found.items()}
    masks = {phase: mask for phase, (mask, _) in parts.items()}
    physiology = read_spec("cine_sax").checks.physiology
    pair = None
    if physiology is not None and len(masks) == len(PHASES):
        pair = pair_features(masks["ed"], masks["es"], lvef_pct=physiology.lvef_pct)
    phases = {
        phase: _judge(found[phase], mask, cleaning, pair, ensemble.quality, frames.get(phase))
        for phase, (mask, cleaning) in parts.items()
    }
    seconds = time.perf_counter() - started
    return SegmentedCase(patient_id, phases, len(answering), seconds, (*issues, *doubts))


def segment(
    cohort: str | Path | Cohort,
    network: str | Path | Ensemble,
    *,
    flips: bool = True,
    progress: Callable[[object], None] | None = None,
) -> Segmentation:
    """Segment the hearts of a cohort.

    Parameters
    ----------
    cohort : str, Path or Cohort
        As :func:`radiocard.io.unsegmented.read_unsegmented` reads it.
    network : str, Path or Ensemble
        Folder that ``radiocard segment train`` wrote, or what is open of it.
    flips : bool
        Average over mirrored slices: four times the work.
    progress : callable or None
        Called after each case.

    Returns
    -------
    Segmentation

    Raises
    ------
    NothingUsableError
        If no case could be segmented.
    """
    found = cohort if isinstance(cohort, Cohort) else read_unsegmented(cohort)
    ensemble = network if isinstance(network, Ensemble) else open_ensemble(network)
    cases: list[SegmentedCase] = []
    issues: list[Issue] = []
    for ref in found.cases:
        try:
            cases.append(
                segment_images(
                    load_images(ref), ensemble, patient_id=ref.patient_id, flips=flips, simulated=ref.simulated
                )
            )
        except RadiocardError as error:
            issues += findings(error)
        if progress is not None:
            progress(ref)
    if not cases:
        msg = f"None of the {len(found.cases)} cases could be segmented."
        raise NothingUsableError(msg, issues)
    return segmentation(cases, issues, ensemble, found)


def findings(error: RadiocardError) -> tuple[Issue, ...]:
    """Return every finding that an error carries."""
    return tuple(getattr(error, "issues", ())) or (error.issue,)


def segmentation(
    cases: Sequence[SegmentedCase], issues: Sequence[Issue], ensemble: Ensemble, cohort: Cohort
) -> Segmentation:
    """Put together what was drawn of a cohort."""
    refs = {ref.patient_id: ref for ref in cohort.cases}
    card = ensemble.card
    names = card.network_id, card.short_id
    return Segmentation(tuple(cases), tuple(issues), *names, ensemble.backend, len(cohort.cases), refs)


def write_segmentation(result: Segmentation, output: str | Path) -> Path:
    """Write masks, a manifest that every other command reads, and what is known of each mask.

    Parameters
    ----------
    result : Segmentation
    output : str or Path
        Gets ``masks/``, ``manifest.csv`` and ``segmentation.json``.

    Returns
    -------
    Path
        The manifest; its images stay where they are.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(output)
    rows = [row for case in result.cases for row in _write_case(case, result, folder)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = ([cell_text(row.get(name)) for name in names] for row in rows)
    write_text(format_delimited([neutralise(name) for name in names], cells), folder / MANIFEST)
    record = {
        "schema": "radiocard/segmentation/1",
        "network_id": result.network_id,
        "backend": result.backend,
        "labels": dict(LABELS_ACDC),
        "n_cases": result.n_cases,
        "cases": [case.to_dict() for case in result.cases],
        "issues": [issue.to_dict() for issue in result.issues],
    }
    write_json(record, folder / RECORD)
    return folder / MANIFEST


def mask_path(patient_id: str, phase: str, suffix: str) -> str:
    """Return where the mask of a phase lies in the folder of a segmentation."""
    return f"{_MASKS}/{patient_id}_cine_{phase}{suffix}"


def _phases(
    images: Mapping[str, Image], networks: tuple[Network, ...], ensemble: Ensemble, patient_id: str
) -> tuple[dict[Phase, Image], dict[Phase, int], tuple[Issue, ...]]:
    """Return end-diastole and end-systole, found by volume where a whole cine is given."""
    if images and set(images) <= set(PHASES):
        return {cast("Phase", phase): image for phase, image in images.items()}, {}, ()
    if not images or not all(name.isdecimal() for name in images):
        msg = "The case has neither end-diastole and end-systole nor the frames of a cine."
        raise UsageError(msg, case=patient_id)
    found = predict_images(images, networks[:1], ensemble.card.recipe, flips=False)
    volumes = []
    for probabilities in found.values():
        mask, _ = clean_mask(most_probable(probabilities))
        volumes.append(float((mask.array == LABELS_ACDC["lv_cavity"]).sum()) * mask.voxel_volume_ml)
    phases = find_phases(volumes, case=patient_id)
    names = list(images)
    frames: dict[Phase, int] = {"ed": phases.ed, "es": phases.es}
    return {phase: images[names[frame]] for phase, frame in frames.items()}, frames, phases.issues


def _judge(
    probabilities: Probabilities,
    mask: LabelMap,
    cleaning: Cleaning,
    pair: Mapping[str, float | None] | None,
    quality: QualityModel | None,
    frame: int | None,
) -> SegmentedPhase:
    confidence = region_confidence(probabilities, mask)
    features = quality_features(mask, cleaning, confidence=confidence, pair=pair)
    return SegmentedPhase(mask, cleaning, confidence, features, decide(features, quality), frame)


def _oriented(mask: LabelMap, image: Image) -> LabelMap:
    return LabelMap(mask.array, mask.affine, image.oriented, mask.labels)


def _seen(patient_id: str) -> Issue:
    message = "Every network learned from these images; the masks are better than those of a new patient."
    return Issue("W_NETWORK_SEEN", message, patient_id, hint="Do not measure accuracy by them.")


def _write_case(case: SegmentedCase, result: Segmentation, folder: Path) -> list[dict[str, Any]]:
    ref = result.refs.get(case.patient_id)
    if ref is None:
        msg = f"The segmentation does not know the files of patient {case.patient_id}."
        raise CohortError(msg, case=case.patient_id)
    rows = []
    for phase, found in case.phases.items():
        name = mask_path(case.patient_id, phase, ".nii.gz")
        write_image(folder / name, found.mask)
        pair = ref.files.get(("cine", phase)) or ref.files[CINE]
        row: dict[str, Any] = {"patient_id": case.patient_id, "sequence": "cine", "phase": phase}
        frame = pair.frame if found.frame is None else found.frame
        row |= {"image": str(pair.image.resolve()), "frame": None if frame is None else str(frame)}
        row |= {"mask": name, "labels": "acdc", **ref.clinical, "simulated": ref.simulated or None}
        row |= {"mask_network": result.short_id, "mask_verdict": case.verdict}
        row |= {"mask_confidence": None if case.confidence is None else round(case.confidence, 4)}
        rows.append(row)
    return rows
