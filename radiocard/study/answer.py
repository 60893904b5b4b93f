"""One patient's answer: probabilities, the model that is explained, and its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.cardiac.reference import ReferenceRange
from radiocard.cohort.table import describe
from radiocard.explain.families import family_name, group_families
from radiocard.explain.shap_values import Explanation
from radiocard.explain.shap_values import explain as shap_explain
from radiocard.explain.words import (
    Context,
    Reason,
    answer_sentence,
    class_name,
    find_reasons,
    format_value,
    scope_sentence,
)
from radiocard.models.bundle import ModelBundle
from radiocard.models.fitted import FittedModel
from radiocard.models.selection import fit_best
from radiocard.report import schema_patient, schema_why
from radiocard.study.train import plan_of

WATERFALL_STEPS = 8
STORIES = 6
HELD_OUT_NOTE = (
    "This patient was in the training cohort. The printed percentages are the mean answers of the models that did not "
    "see this patient in {repeats} cross-validations."
)
HELD_OUT_EXPLAINED = (
    "The percentage above is the mean of the cross-validation's held-out answers. What is explained here is {title}, "
    "trained again without this patient, which gives {probability} for {name}:"
)
RIVAL = 0.05


@dataclass(frozen=True, eq=False)
class Answered:
    """What the model says of one patient, and the model that is explained.

    Parameters
    ----------
    probabilities : dict of str to float
        Printed, by class; out of fold for a training patient.
    held_out : bool
        Whether the patient was in training.
    fitted : FittedModel
        The model explained: the answering one, trained without this patient where it was in training.
    explanation : Explanation
        SHAP values of ``fitted``.
    training : dict of str to dict of str to list of float
        Column to class to the values of the training patients, this patient left out.
    others : ndarray of bool, shape (n_training,)
        Training patients that are neither this one nor a twin of it.
    """

    probabilities: dict[str, float]
    held_out: bool
    fitted: FittedModel
    explanation: Explanation
    training: dict[str, dict[str, list[float]]]
    others: NDArray[np.bool_]

    @property
    def ranked(self) -> list[str]:
        """Classes, most probable first."""
        return sorted(self.probabilities, key=lambda label: -self.probabilities[label])


def answer_patient(model: ModelBundle, row: pd.DataFrame) -> Answered:
    """Predict one patient and explain the model.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    row : DataFrame, shape (1, columns), index ``patient_id``
        The patient's row of the table.

    Returns
    -------
    Answered
    """
    patient, digest = str(row.index[0]), str(row["image_sha256"].iloc[0])
    X = row[list(model.columns)].astype(float)
    fitted, held_out = model.answering, model.out_of_fold_of(patient, digest)
    keep = others(model, row)
    if not keep.all():
        fitted = _trained_without(model, keep)
    p = fitted.predict_proba(X)[0] if held_out is None else held_out.probabilities
    background = model.training_table[keep]
    labels = model.training_labels[keep]
    training = {
        str(column): {c: background.loc[labels == c, column].dropna().tolist() for c in model.classes}
        for column in background.columns
    }
    probabilities = {c: float(v) for c, v in zip(model.classes, p, strict=True)}
    explanation = shap_explain(fitted, background, X)
    return Answered(probabilities, held_out is not None, fitted, explanation, training, keep)


def others(model: ModelBundle, row: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which training patients are neither the one of this row nor a twin of it."""
    where = model.position(str(row.index[0]), str(row["image_sha256"].iloc[0]))
    return np.ones(len(model.labels), dtype=bool) if where is None else np.asarray(model.groups != model.groups[where])


def make_answer(
    answered: Answered,
    model: ModelBundle,
    *,
    values: Mapping[str, float | None],
    ranges: Mapping[str, ReferenceRange],
    sex: str | None,
    light: schema_patient.Light,
) -> schema_patient.Answer:
    """Fill section 1: the answer in one sentence, with what speaks for and against it."""
    first = answered.ranked[0]
    context = Context(describe, ranges, sex, answered.training)
    found = find_reasons(answered.explanation, first, values=values, context=context)
    against = [_reason(r, values, ranges) for r in found.against] or _for_the_rival(answered, values, ranges, context)
    shares = np.bincount(model.labels, minlength=len(model.classes)) / len(model.labels)
    share_of = dict(zip(model.classes, shares.tolist(), strict=True))
    repeats = next(iter(model.out_of_fold.values())).shape[0]
    note = HELD_OUT_NOTE.format(repeats=repeats) if answered.held_out else None
    return schema_patient.Answer(
        sentence=answer_sentence(list(answered.probabilities.values()), list(answered.probabilities)),
        prediction=first,
        probabilities=[
            schema_patient.ClassProbability(
                label=label,
                name=class_name(label),
                probability=min(1.0, answered.probabilities[label]),
                training_share=share_of[label],
            )
            for label in answered.ranked
        ],
        reasons_for=[_reason(r, values, ranges) for r in found.speaks_for],
        reasons_against=against,
        light=light,
        not_known=scope_sentence(model.classes),
        out_of_fold=answered.held_out,
        out_of_fold_note=note,
        model=answered.fitted.title,
    )


def make_why(
    answered: Answered, *, values: Mapping[str, float | None], ranges: Mapping[str, ReferenceRange], sex: str | None
) -> schema_why.Why:
    """Fill section 4: waterfalls of the first two classes, families, and the top features' stories."""
    explanation, ranked = answered.explanation, answered.ranked
    context = Context(describe, ranges, sex, answered.training)
    reasons = find_reasons(explanation, ranked[0], values=values, context=context)
    named = (*reasons.speaks_for, *reasons.against)
    rival = not reasons.against and answered.probabilities[ranked[1]] >= RIVAL
    leading = [[c for c, phi in explanation.ranked(label) if phi != 0] for label in ranked[:2]]
    top = list(dict.fromkeys([*leading[0][: STORIES - 2], *leading[1][:2], *leading[0]]))[:STORIES]
    return schema_why.Why(
        scale=explanation.scale,
        explained_output=_explained(answered),
        classes=[_waterfall(explanation, label, values) for label in ranked[:2]],
        families=[
            schema_why.FamilyShare(family=s.family, contribution=s.contribution)
            for s in group_families(explanation, ranked[0], describe=describe)
        ],
        sentences=[] if rival else [s for s in reasons.sentences if s not in {r.sentence for r in named}],
        features=[_story(column, values.get(column), answered.training[column]) for column in top],
    )


def _for_the_rival(
    answered: Answered, values: Mapping[str, float | None], ranges: Mapping[str, ReferenceRange], context: Context
) -> list[schema_patient.Reason]:
    """Return what speaks most for the second class, where nothing speaks against the first alone."""
    second = answered.ranked[1]
    if answered.probabilities[second] < RIVAL:
        return []
    found = find_reasons(answered.explanation, second, values=values, context=context, n_for=1).speaks_for
    lead = f"For {class_name(second)} instead ('this diagnosis' here): "
    return [r.model_copy(update={"text": lead + r.text}) for r in (_reason(f, values, ranges) for f in found)]


def _trained_without(model: ModelBundle, keep: NDArray[np.bool_]) -> FittedModel:
    answering = model.answering
    return fit_best(
        answering.recipe,
        model.training_table[keep],
        model.training_labels[keep],
        model.groups[keep].astype(str),
        inner_folds=plan_of(model).inner_folds,
        random_state=answering.random_state,
    )


def _explained(answered: Answered) -> str:
    method, note = f"{answered.fitted.title}; {answered.explanation.method}.", answered.explanation.note
    if not answered.held_out:
        return f"{method} {note}"
    first = answered.ranked[0]
    own = answered.explanation.probabilities[0][answered.explanation.class_index(first)]
    told = HELD_OUT_EXPLAINED.format(
        title=answered.fitted.title, probability=f"{100 * own:.0f} %", name=class_name(first)
    )
    return f"{told} {answered.explanation.method}. {note.replace('the printed percentage', 'that percentage')}"


def _reason(
    reason: Reason, values: Mapping[str, float | None], ranges: Mapping[str, ReferenceRange]
) -> schema_patient.Reason:
    info, known = describe(reason.column), ranges.get(reason.column)
    return schema_patient.Reason(
        text=reason.sentence,
        column=reason.column,
        name=reason.name,
        value=values.get(reason.column),
        unit=info.unit if info else "",
        reference_low=known.low if known else None,
        reference_high=known.high if known else None,
    )


def _waterfall(explanation: Explanation, label: str, values: Mapping[str, float | None]) -> schema_why.Waterfall:
    ranked = [(column, phi) for column, phi in explanation.ranked(label) if phi != 0]
    items = [
        schema_why.WaterfallItem(
            column=column, name=_name(column), value_text=_value_text(column, values.get(column)), contribution=phi
        )
        for column, phi in ranked[:WATERFALL_STEPS]
    ]
    rest = ranked[WATERFALL_STEPS:]
    if rest or not items:
        total = float(sum(phi for _, phi in rest))
        items.append(schema_why.WaterfallItem(column="rest", name=f"{len(rest)} others together", contribution=total))
    c = explanation.class_index(label)
    return schema_why.Waterfall(
        label=label,
        name=class_name(label),
        base=float(explanation.base[c]),
        output=float(explanation.output[0, c]),
        items=items,
    )


def _story(column: str, value: float | None, strip: Mapping[str, Sequence[float]]) -> schema_why.FeatureStory:
    info = describe(column)
    return schema_why.FeatureStory(
        column=column,
        name=info.name if info else column,
        meaning=info.meaning if info else "",
        unit=info.unit if info else "",
        value=value,
        family=family_name(info),
        strip={label: list(numbers) for label, numbers in strip.items()},
    )


def _name(column: str) -> str:
    info = describe(column)
    return info.name if info else column


def _value_text(column: str, value: float | None) -> str:
    info = describe(column)
    return format_value(value, info.unit if info else "")
