"""How sure an answer is: what stays possible, likeness to the training, agreement, stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from radiocard.cohort.table import describe
from radiocard.errors import CohortError
from radiocard.explain.counterfactual import counterfactual
from radiocard.explain.words import class_name
from radiocard.models.bundle import ModelBundle
from radiocard.models.conformal import conformal_sets
from radiocard.models.novelty import novelty
from radiocard.report.schema_sure import Moved, Sure, Voice
from radiocard.study.answer import Answered, others

ALPHA = 0.1
MOVED_NOTE = (
    "Contours are moved as far as readers differ, the basal slice is dropped or drawn once more, noise is added, and "
    "the grid is moved by half a pixel; the model that is explained above answers anew."
)
NO_FLIP = (
    "No change of volumes, mass, wall thickness, T1, T2 or ECV within the training range was found that makes the "
    "model answer otherwise."
)
CONTOURS: Mapping[str, str] = {
    "out": "both outwards",
    "in": "both inwards",
    "thicker": "thicker wall",
    "thinner": "thinner wall",
}
CHANGES: Mapping[str, str] = {
    "as drawn": "Nothing, as drawn",
    "base_dropped": "Basal slice dropped",
    "base_added": "Basal slice drawn once more",
    "noise": "Noise added",
    "grid": "Grid moved by half a pixel",
}


@dataclass(frozen=True, slots=True)
class Likeness:
    """How unlike the training patients one patient is.

    Parameters
    ----------
    level : {'unknown', 'usual', 'unusual', 'very unusual'}
        Unknown with too few training patients to compare with.
    sentence : str
        The same in words, with the measurements that stick out.
    """

    level: Literal["unknown", "usual", "unusual", "very unusual"]
    sentence: str

    @property
    def alarm(self) -> bool:
        """Whether the patient counts as unlike the training."""
        return self.level in {"unusual", "very unusual"}


def likeness(model: ModelBundle, row: pd.DataFrame) -> Likeness:
    """Say how unlike the training patients one patient is; a training patient is compared with the others."""
    try:
        found = novelty(model, row[list(model.columns)], keep=others(model, row))[0]
    except CohortError as error:
        return Likeness(
            "unknown", f"Whether the patient is like the training patients is unknown: {error.issue.message}"
        )
    infos = {s.column: describe(s.column) for s in found.sticking_out}
    names = {column: info.name for column, info in infos.items() if info}
    units = {column: info.unit for column, info in infos.items() if info}
    caveat = "" if found.alarm else " No alarm does not prove that the patient has one of the classes of the model."
    return Likeness(found.level, found.sentence(names=names, units=units) + caveat)


def make_sure(
    model: ModelBundle,
    row: pd.DataFrame,
    answered: Answered,
    like: Likeness,
    *,
    moved: pd.DataFrame,
) -> Sure:
    """Fill section 5.

    Parameters
    ----------
    model : ModelBundle
        Trained models.
    row : DataFrame, shape (1, columns), index ``patient_id``
        The patient's row of the table.
    answered : Answered
        The answer.
    like : Likeness
        Likeness to the training.
    moved : DataFrame, shape (n_variants + 1, columns)
        The patient as drawn and after changes of masks and image.

    Returns
    -------
    Sure
    """
    return Sure(
        possible=_possible(model, answered),
        likeness=like.sentence,
        unlike=like.alarm,
        voices=_voices(model, row),
        moved=_moved(model, answered, moved),
        moved_note=MOVED_NOTE,
        flip=_flip(model, row, answered),
    )


def _possible(model: ModelBundle, answered: Answered) -> str:
    p = np.array([[answered.probabilities[label] for label in model.classes]])
    try:
        sets = conformal_sets(model, p, ALPHA, keep=answered.others)
    except CohortError as error:
        return f"No set of possible classes is given: {error.issue.message}"
    return sets.sentence(0, names={label: class_name(label) for label in model.classes})


def _flip(model: ModelBundle, row: pd.DataFrame, answered: Answered) -> str:
    X = row[list(model.columns)].astype(float)
    found = counterfactual(answered.fitted, X, training=model.training_table[answered.others], describe=describe)
    if found is None:
        return NO_FLIP
    if found.answer != answered.ranked[0]:
        return f"The model that is explained names {class_name(found.answer)} here. {found.sentence}"
    return found.sentence


def _moved(model: ModelBundle, answered: Answered, table: pd.DataFrame) -> list[Moved]:
    """Ask the model that is explained, which did not see a training patient."""
    first = model.classes.index(answered.ranked[0])
    out = []
    for name, p in zip(table.index, answered.fitted.predict_proba(table), strict=True):
        label = model.classes[int(p.argmax())]
        same = label == model.classes[first]
        out.append(
            Moved(
                change=change_in_words(str(name)),
                name=class_name(label),
                probability=min(1.0, float(p[first])),
                same=same,
            )
        )
    return out


def change_in_words(name: str) -> str:
    """Write the name of a perturbation for a reader.

    Examples
    --------
    >>> change_in_words("contours_thinner_0.5mm"), change_in_words("base_dropped")
    ('Contours 0.5 mm: thinner wall', 'Basal slice dropped')
    """
    if name.startswith("contours_"):
        _, direction, size = name.split("_")
        return f"Contours {size.removesuffix('mm')} mm: {CONTOURS[direction]}"
    return CHANGES.get(name, name)


def _voices(model: ModelBundle, row: pd.DataFrame) -> list[Voice]:
    """Ask each model; of a training patient, its out-of-fold answer."""
    patient, digest = str(row.index[0]), str(row["image_sha256"].iloc[0])
    where = model.position(patient, digest)
    out = []
    for fitted in model.models:
        if where is not None and fitted.name in model.out_of_fold:
            p = model.out_of_fold[fitted.name][:, where].mean(axis=0)
        else:
            p = fitted.predict_proba(row[list(model.columns)].astype(float))[0]
        label = model.classes[int(p.argmax())]
        out.append(Voice(title=fitted.title, label=label, name=class_name(label), probability=min(1.0, float(p.max()))))
    return out
