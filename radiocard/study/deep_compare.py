"""Measurements against an image classifier, on the same patients in the same folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.comparison_result import ModelComparison
from radiocard.io.atomic import write_bytes
from radiocard.io.cohort import Cohort
from radiocard.io.store import write_table
from radiocard.io.unsegmented import read_unsegmented
from radiocard.models.bundle import ModelBundle
from radiocard.specs.classifier import ClassifierRecipe
from radiocard.study.classify import (
    DEFAULT_RECIPE,
    DeepAnswers,
    HeartTable,
    Tell,
    cine_of,
    classify_out_of_fold,
    read_classifier,
    read_hearts,
    write_answers,
)
from radiocard.study.compare import compare, write_comparison
from radiocard.study.compare_files import OUT_OF_FOLD, PREFIX
from radiocard.study.saliency import draw, look
from radiocard.study.train import plan_of

OURS, DEEP, TRUTH = "radiomics.csv", "deep.csv", "truth.csv"


@dataclass(frozen=True, eq=False)
class Contest:
    """A comparison and what it came from.

    Parameters
    ----------
    comparison : ModelComparison
        ``deep`` against ``radiomics``, which is the reference.
    answers : DeepAnswers
    paths : list of Path
        Files written, the page first.
    """

    comparison: ModelComparison
    answers: DeepAnswers
    paths: list[Path]


def compare_deep(
    cohort: str | Path | Cohort,
    model: ModelBundle,
    folder: str | Path,
    *,
    recipe: str | Path | ClassifierRecipe = DEFAULT_RECIPE,
    explain: str | None = None,
    tell: Tell | None = None,
) -> Contest:
    """Train an image classifier in the folds of a model and compare both on the patients left out.

    Parameters
    ----------
    cohort : str, Path or Cohort
        The images of the model's training patients; masks are not used.
    model : ModelBundle
        Trained on measurements of the same patients.
    folder : str or Path
        For the probabilities of both, the truth, and the comparison.
    recipe : str, Path or ClassifierRecipe
        Of the classifier.
    explain : str or None
        A patient for whom a picture is drawn of where the classifier looked.
    tell : callable or None
        Called with the number of networks trained and in all.

    Returns
    -------
    Contest

    Raises
    ------
    CohortError
        If a patient was not in the model's training with these images, or one of it is missing.
    UsageError
        If the patient to explain is not among them.
    MissingExtraError
        If torch or MONAI is not installed.
    """
    settings, folder = read_classifier(recipe), Path(folder)
    found = cohort if isinstance(cohort, Cohort) else read_unsegmented(cohort)
    hearts = read_hearts(found, settings, target=model.target)
    if explain is not None and explain not in hearts.ids:
        msg = f"There is no usable patient {explain!r} in the cohort."
        raise UsageError(msg, field="explain")
    ours = _ours(model, hearts)
    answers = classify_out_of_fold(hearts, plan=plan_of(model), recipe=settings, tell=tell)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(ours, folder / OURS)
    write_answers(answers, folder / DEEP)
    write_table(_truth(hearts, model.target), folder / TRUTH)
    comparison = compare([folder / OURS, folder / DEEP], truth=folder / TRUTH, target=model.target, plan=plan_of(model))
    paths = [*write_comparison(comparison, folder), *(folder / name for name in (OURS, DEEP, TRUTH))]
    if explain is not None:
        row = hearts.ids.index(explain)
        member = answers.members[0, int(answers.fold_of[0, row])]
        picture = draw(look(cine_of(found.case(explain)), member, settings, answers.classes))
        write_bytes(picture, folder / "looked_at.png")
        paths.append(folder / "looked_at.png")
    return Contest(comparison, answers, paths)


def _ours(model: ModelBundle, hearts: HeartTable) -> pd.DataFrame:
    """Return the model's out-of-fold probabilities of the same patients."""
    rows = []
    for patient, digest in zip(hearts.ids, hearts.digests, strict=True):
        told = model.out_of_fold_of(patient, digest)
        if told is None:
            msg = "The model was not trained on this patient with these images."
            hint = "Give the cohort that the model's table was extracted from."
            raise CohortError(msg, case=patient, hint=hint)
        rows.append(told.probabilities)
    if len(rows) < len(model.labels):
        msg = f"The model was trained on {len(model.labels)} patients, the cohort has {len(rows)} that are usable."
        raise CohortError(msg, hint="Give the cohort that the model's table was extracted from.")
    p = np.array(rows)
    table = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=[f"{PREFIX}{c}" for c in model.classes])
    return table.assign(flags=OUT_OF_FOLD).set_index(pd.Index(hearts.ids, name="patient_id"))


def _truth(hearts: HeartTable, target: str) -> pd.DataFrame:
    index = pd.Index(hearts.ids, name="patient_id")
    return pd.DataFrame({target: list(hearts.labels), "image_sha256": list(hearts.digests)}, index=index)
