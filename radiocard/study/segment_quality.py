"""Learn when a person should look at a network's masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from radiocard.errors import Issue, RadiocardError, UsageError
from radiocard.image import Case
from radiocard.io.cohort import Cohort
from radiocard.segmentation.backend import QUALITY, Ensemble, open_ensemble
from radiocard.segmentation.degrade import degrade
from radiocard.segmentation.overlap import compare_masks
from radiocard.segmentation.quality_model import QualityModel, fit_quality, write_quality
from radiocard.study.extract import as_cohort
from radiocard.study.segment_evaluate import reader_mask, segment_case
from radiocard.study.segment_predict import findings

DEGRADED = ("noise", "blur", "coarse", "motion")
SEVERITIES = (0.15, 0.3, 0.6)
DICE_LIMIT = 0.8
WARN_FALSE_ALARMS, ASK_FALSE_ALARMS = 0.10, 0.05


@dataclass(frozen=True)
class JudgedMask:
    """One mask whose agreement with a reader is known.

    Parameters
    ----------
    patient_id, phase, family : str
        Whose heart, which phase, and how its image was made worse.
    severity : float
    features : dict of str to float or None
        Quality features.
    worst_dice : float
        Least three-dimensional Dice over the regions.
    """

    patient_id: str
    phase: str
    family: str
    severity: float
    features: dict[str, float | None]
    worst_dice: float


def learn_quality(
    cohort: str | Path | Cohort,
    network: str | Path,
    *,
    progress: Callable[[object], None] | None = None,
) -> tuple[QualityModel, tuple[Issue, ...]]:
    """Fit the quality model of a network on its own training cohort, and keep it in its folder.

    Each patient is segmented by networks that never saw the patient, as :func:`training_masks`.

    Parameters
    ----------
    cohort : str, Path or Cohort
        With the masks of a reader.
    network : str or Path
        Folder that ``radiocard segment train`` wrote; gets ``quality.json``.
    progress : callable or None
        Called after each case.

    Returns
    -------
    model : QualityModel
    issues : tuple of Issue
        Of cases that could not be used.

    Raises
    ------
    UsageError
        If there are too few poor or good masks to fit, or every network learned from a patient.
    """
    ensemble = open_ensemble(network)
    masks: list[JudgedMask] = []
    issues: list[Issue] = []
    for number, ref in enumerate(as_cohort(cohort).cases):
        try:
            masks += training_masks(ref.load(), ensemble, number=number)
        except UsageError:
            raise
        except RadiocardError as error:
            issues += findings(error)
        if progress is not None:
            progress(ref)
    model = fit_masks(masks)
    write_quality(model, Path(network) / QUALITY)
    return model, tuple(issues)


def fit_masks(masks: Sequence[JudgedMask]) -> QualityModel:
    """Fit a quality model to masks whose agreement with a reader is known."""
    return fit_quality(
        [mask.features for mask in masks],
        [mask.worst_dice for mask in masks],
        [mask.patient_id for mask in masks],
        dice_limit=DICE_LIMIT,
        warn_false_alarms=WARN_FALSE_ALARMS,
        ask_false_alarms=ASK_FALSE_ALARMS,
        random_state=0,
        kinds=[mask.family for mask in masks],
    )


def training_masks(case: Case, ensemble: Ensemble, *, number: int) -> list[JudgedMask]:
    """Judge what a quality model learns from: a case as it is, and made worse in each way.

    Parameters
    ----------
    case : Case
    ensemble : Ensemble
    number : int
        Of the case in its cohort, from 0; the severity goes round with it, so that about half of the masks are poor.

    Returns
    -------
    list of JudgedMask
    """
    severity = SEVERITIES[number % len(SEVERITIES)]
    return judged_masks(case, ensemble, families=DEGRADED, severities=(0.0, severity))


def judged_masks(
    case: Case, ensemble: Ensemble, *, families: Sequence[str], severities: Sequence[float]
) -> list[JudgedMask]:
    """Segment one case from images made worse, by networks that never saw it, and compare with the reader.

    Mirrored slices are averaged, as at prediction.

    Parameters
    ----------
    case : Case
    ensemble : Ensemble
    families : sequence of str
        As :func:`radiocard.segmentation.degrade.degrade` knows them.
    severities : sequence of float
        0 is the image as it is, and is taken once.

    Returns
    -------
    list of JudgedMask
        One per phase, family and severity.

    Raises
    ------
    UsageError
        If every network learned from the case.
    """
    plans = [("none", 0.0)] if 0 in severities else []
    plans += [(family, severity) for family in families for severity in severities if severity > 0]
    out: list[JudgedMask] = []
    for number, (family, severity) in enumerate(plans):
        worse = {
            key: image if severity == 0 else degrade(image, family=family, severity=severity, random_state=number)
            for key, image in case.images.items()
        }
        found = segment_case(replace(case, images=worse), ensemble, of=case)
        for phase, judged in found.phases.items():
            overlaps = compare_masks(judged.mask, reader_mask(case, phase), case=case.patient_id).values()
            dice = min(overlap.dice or 0.0 for overlap in overlaps)
            out.append(JudgedMask(case.patient_id, phase, family, severity, judged.features, dice))
    return out
