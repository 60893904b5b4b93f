"""Ask an end-to-end image classifier in the folds of the evaluation, as a peer of the measurements."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.checks.cohort import identical_images, image_groups
from radiocard.cohort.row import image_digest
from radiocard.errors import Issue, NothingUsableError, RadiocardError
from radiocard.evaluation.nested import check_apart
from radiocard.image import PHASES, Case, FloatArray, Image, Key
from radiocard.io.case_ref import CaseRef
from radiocard.io.cohort import Cohort
from radiocard.io.store import write_table
from radiocard.io.unsegmented import load_images, read_unsegmented
from radiocard.models.selection import check_class_counts, grouped_splits
from radiocard.segmentation.hearts import heart_of
from radiocard.segmentation.networks import require_torch
from radiocard.specs import EvaluationPlan, read_as, read_spec
from radiocard.specs.classifier import ClassifierRecipe
from radiocard.study.compare_files import OUT_OF_FOLD, PREFIX
from radiocard.study.train import read_plan

if TYPE_CHECKING:
    from radiocard.segmentation.classifier import TrainedClassifier

IntArray = NDArray[np.intp]
Tell = Callable[[int, int], None]
DEFAULT_RECIPE = "densenet_cine"


@dataclass(frozen=True, eq=False)
class HeartTable:
    """The patients of a cohort as a classifier sees them; row i is one patient everywhere.

    Parameters
    ----------
    ids, labels, digests : tuple of str
        Identifiers, diagnoses, digests of both images as in a table of features.
    channels : ndarray of float32, shape (n, 2 * slices, side, side)
        With the margin of training.
    seconds : ndarray of float, shape (n,)
        Time that bringing the images onto the grid took.
    simulated : bool
        Whether any patient is.
    issues : tuple of Issue
        Cases that were left out.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    digests: tuple[str, ...]
    channels: NDArray[np.float32]
    seconds: FloatArray
    simulated: bool
    issues: tuple[Issue, ...]

    @property
    def groups(self) -> NDArray[np.str_]:
        """One label per patient; patients who share an image share it."""
        found = image_groups(dict(zip(self.ids, self.digests, strict=True)))
        return np.array([found[i] for i in self.ids])


@dataclass(frozen=True, eq=False)
class DeepAnswers:
    """What a classifier said of patients whom it had not seen.

    Parameters
    ----------
    hearts : HeartTable
    classes : tuple of str
        In the order of the probabilities.
    probabilities : ndarray of float, shape (repeats, n, n_classes)
    fold_of : ndarray of int, shape (repeats, n)
        Outer fold in which each patient was tested.
    seconds : ndarray of float, shape (n,)
        Time per patient: images onto the grid and one answer, without reading files.
    members : mapping of (repeat, fold) to TrainedClassifier
    """

    hearts: HeartTable
    classes: tuple[str, ...]
    probabilities: FloatArray
    fold_of: IntArray
    seconds: FloatArray
    members: dict[tuple[int, int], TrainedClassifier] = field(default_factory=dict)


def read_classifier(source: str | Path | ClassifierRecipe) -> ClassifierRecipe:
    """Read the recipe of an image classifier by shipped name (``densenet_cine``) or path."""
    return source if isinstance(source, ClassifierRecipe) else read_as(ClassifierRecipe, source, "models")


def cine_of(ref: CaseRef) -> Case:
    """Read end-diastole and end-systole of a case; masks are not looked at."""
    images: dict[Key, Image] = {("cine", p): image for p, image in load_images(ref).items() if p in PHASES}
    return Case(ref.patient_id, images, {}, ref.clinical, ref.simulated)


def read_hearts(cohort: str | Path | Cohort, recipe: ClassifierRecipe, *, target: str = "diagnosis") -> HeartTable:
    """Read the cases of a cohort that have a diagnosis; what cannot be used is an issue.

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    NothingUsableError
        If no case is usable.
    CohortError
        If identical images carry different diagnoses.
    """
    require_torch("A network that sees images alone")
    from radiocard.segmentation.classifier import MARGIN_PX

    spec = read_spec("cine_sax")
    rows: list[tuple[str, str, str, NDArray[np.float32], float]] = []
    found = cohort if isinstance(cohort, Cohort) else read_unsegmented(cohort)
    issues: list[Issue] = list(found.issues)
    simulated = False
    for ref in found.cases:
        label = ref.clinical.get(target)
        if label is None:
            continue
        try:
            case = cine_of(ref)
            start = time.perf_counter()
            heart = heart_of(case, recipe, margin_px=MARGIN_PX)
        except RadiocardError as error:
            issues += error.issues if hasattr(error, "issues") else [error.issue]
            continue
        took = time.perf_counter() - start
        rows.append((ref.patient_id, str(label), image_digest(case, spec), heart.channels, took))
        simulated = simulated or case.simulated
    if not rows:
        msg = f"No case has a {target} and a cine at both phases."
        raise NothingUsableError(msg, issues)
    ids, labels, digests, channels, seconds = zip(*rows, strict=True)
    issues += identical_images(dict(zip(ids, digests, strict=True)), labels=dict(zip(ids, labels, strict=True)))
    return HeartTable(ids, labels, digests, np.stack(channels), np.array(seconds), simulated, tuple(issues))


def classify_out_of_fold(
    cohort: str | Path | Cohort | HeartTable,
    *,
    plan: str | EvaluationPlan = "evaluation",
    recipe: str | Path | ClassifierRecipe = DEFAULT_RECIPE,
    target: str = "diagnosis",
    tell: Tell | None = None,
) -> DeepAnswers:
    """Train an image classifier in each outer fold and ask it about the patients left out.

    The folds are those of :func:`radiocard.evaluation.nested.nested_cv` for the same patients and plan;
    the inner split that decides when training stops is taken from the training part alone.

    Parameters
    ----------
    cohort : str, Path, Cohort or HeartTable
        As :func:`radiocard.io.unsegmented.read_unsegmented` reads it, with end-diastole and end-systole.
    plan : str or EvaluationPlan
        Outer folds, repeats, seed.
    recipe : str, Path or ClassifierRecipe
        A shipped name or a path.
    target : str
        Covariate that holds the diagnosis.
    tell : callable or None
        Called with the number of networks trained and in all.

    Returns
    -------
    DeepAnswers

    Raises
    ------
    MissingExtraError
        If torch or MONAI is not installed.
    CohortError
        If a class is too small for the folds (``E_CLASS_COUNT``), before any training.
    """
    require_torch()
    settings, asked = read_classifier(recipe), read_plan(plan)
    hearts = cohort if isinstance(cohort, HeartTable) else read_hearts(cohort, settings, target=target)
    classes, codes = np.unique(hearts.labels, return_inverse=True)
    groups, n = hearts.groups, len(hearts.ids)
    check_class_counts(hearts.labels, groups, folds=asked.outer_folds)
    p = np.full((asked.repeats, n, len(classes)), np.nan)
    fold_of = np.full((asked.repeats, n), -1)
    seconds = np.zeros((asked.repeats, n))
    members: dict[tuple[int, int], TrainedClassifier] = {}
    for repeat in range(asked.repeats):
        splits = grouped_splits(codes, groups, folds=asked.outer_folds, random_state=_seed(asked.random_state, repeat))
        for fold, (train, test) in enumerate(splits):
            check_apart(groups, train, test)
            member = _train(hearts, codes, groups, train, settings, _seed(settings.training.random_state, repeat, fold))
            p[repeat, test], seconds[repeat, test] = _ask(member, hearts, test)
            fold_of[repeat, test], members[repeat, fold] = fold, member
            if tell is not None:
                tell(len(members), asked.repeats * asked.outer_folds)
    names = tuple(map(str, classes))
    return DeepAnswers(hearts, names, p, fold_of, hearts.seconds + seconds.mean(axis=0), members)


def write_answers(answers: DeepAnswers, path: str | Path) -> None:
    """Write the mean probabilities over the repeats as ``radiocard compare`` reads them.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    mean = answers.probabilities.mean(axis=0)
    table = pd.DataFrame(mean / mean.sum(axis=1, keepdims=True), columns=[f"{PREFIX}{c}" for c in answers.classes])
    table.insert(0, "patient_id", list(answers.hearts.ids))
    table["seconds"] = answers.seconds
    table["flags"] = OUT_OF_FOLD
    write_table(table.set_index("patient_id"), path)


def _seed(start: int, *place: int) -> int:
    return int(np.random.SeedSequence([start, *place]).generate_state(1)[0] % 2**31)


def _train(
    hearts: HeartTable,
    codes: IntArray,
    groups: NDArray[np.str_],
    rows: IntArray,
    recipe: ClassifierRecipe,
    seed: int,
) -> TrainedClassifier:
    """Train on some patients, a share of whom decides when to stop; twins stay together."""
    from radiocard.segmentation.classifier import train_classifier

    folds = round(1 / recipe.training.validation)
    train, validation = grouped_splits(codes[rows], groups[rows], folds=folds, random_state=seed)[0]
    parts = [(hearts.channels[rows[part]], codes[rows[part]]) for part in (train, validation)]
    return train_classifier(recipe, *parts, n_classes=int(codes.max()) + 1, seed=seed)


def _ask(member: TrainedClassifier, hearts: HeartTable, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    from radiocard.segmentation.classifier import class_probabilities, cropped

    answers, seconds = [], []
    for row in rows:
        start = time.perf_counter()
        answers.append(class_probabilities(member.network, cropped(hearts.channels[row][None]))[0])
        seconds.append(time.perf_counter() - start)
    return np.array(answers), np.array(seconds)
