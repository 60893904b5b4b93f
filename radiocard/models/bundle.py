"""Everything that a model file holds: all trained models, what they were trained on, how well they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import Issue, SpecError, UsageError
from radiocard.models.fitted import FittedModel
from radiocard.models.identity import hash_image, hash_patient
from radiocard.models.table import align
from radiocard.specs import spec_differences

Floats = NDArray[np.float64]
_NOT_COMPARED = {"name", "description", "checks"}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of the patients of a table.

    Parameters
    ----------
    probabilities : DataFrame, shape (n_patients, n_classes)
        Index of the table; columns in the order of the classes.
    answers : tuple of str
        Most probable class of each patient.
    flags : tuple of tuple of Issue
        Per patient.
    issues : tuple of Issue
        About the table as a whole.
    in_training : tuple of bool
        Whether the model was trained on this patient; then the probabilities say nothing
        about its quality, and :meth:`ModelBundle.out_of_fold_of` is what to show.
    """

    probabilities: pd.DataFrame
    answers: tuple[str, ...]
    flags: tuple[tuple[Issue, ...], ...]
    issues: tuple[Issue, ...]
    in_training: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Probabilities for a training patient by models that were not trained on it.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n_classes,)
        Mean over repeats.
    per_repeat : ndarray of float, shape (n_repeats, n_classes)
        One row per repeat of the cross-validation.
    """

    probabilities: Floats
    per_repeat: Floats


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """All trained models of one training, and the record of it. Made by :func:`radiocard.models.assemble.make_bundle`.

    Parameters
    ----------
    models : tuple of FittedModel
        All trained models.
    answers : str
        Name of the model that answers: the lowest inner log-loss.
    classes : tuple of str
        Labels of the cohort, sorted; the order of every probability.
    columns : tuple of str
        Columns that the models take, sorted.
    target : str
        Column that held the classes.
    pool : str
        Pool that the columns came from.
    feature_spec : mapping
        Settings of the feature specification.
    feature_spec_hash : str
        Its hash.
    values : ndarray of float, shape (n_patients, n_columns)
        Training table, without identifiers; NaN for undefined.
    labels : ndarray of int, shape (n_patients,)
        Positions in ``classes``.
    groups : ndarray of int, shape (n_patients,)
        Patients with the same number were never on both sides of a fold.
    patient_hashes : tuple of str
        SHA-256 of each identifier.
    image_hashes : tuple of str
        SHA-256 of each image digest; empty where unknown.
    out_of_fold : mapping of str to ndarray of float, shape (n_repeats, n_patients, n_classes)
        Name (a model, or the choice between them) to probabilities.
    evaluation : mapping
        Summary of the evaluation, plain data.
    simulated : bool
        Whether the training patients were simulated.
    seed : int
        Seed of folds and models.
    versions : mapping of str to str
        Software.
    model_id : str
        SHA-256 of all of the above.
    """

    models: tuple[FittedModel, ...]
    answers: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    target: str
    pool: str
    feature_spec: Mapping[str, Any]
    feature_spec_hash: str
    values: Floats
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    patient_hashes: tuple[str, ...]
    image_hashes: tuple[str, ...]
    out_of_fold: Mapping[str, Floats]
    evaluation: Mapping[str, Any]
    simulated: bool
    seed: int
    versions: Mapping[str, str]
    model_id: str

    @property
    def answering(self) -> FittedModel:
        """The model that answers."""
        return self.model(self.answers)

    @property
    def training_table(self) -> pd.DataFrame:
        """Training values, shape (n_patients, n_columns), rows numbered."""
        return pd.DataFrame(self.values, columns=list(self.columns))

    @property
    def training_labels(self) -> NDArray[np.str_]:
        """Classes of the training patients, shape (n_patients,)."""
        return np.array(self.classes)[self.labels]

    def model(self, name: str) -> FittedModel:
        """Return one trained model.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        for model in self.models:
            if model.name == name:
                return model
        msg = f"There is no model {name!r} in this file, which holds: {', '.join(m.name for m in self.models)}."
        raise UsageError(msg)

    def position(self, patient_id: str, image_digest: str | None = None) -> int | None:
        """Return where a patient stands in the training table; None if nowhere.

        Parameters
        ----------
        patient_id : str
            Identifier; it counts only where there is no digest, since another cohort may use
            the same one for another person.
        image_digest : str, optional
            As in the training table; one image in common is enough.
        """
        images = set(filter(None, hash_image(image_digest).split("-")))
        if images:
            same = (i for i, known in enumerate(self.image_hashes) if images & set(known.split("-")))
            return next(same, None)
        return self.patient_hashes.index(hash_patient(patient_id)) if self.knows_identifier(patient_id) else None

    def knows_identifier(self, patient_id: str) -> bool:
        """Whether a training patient had this identifier, whatever the images."""
        return hash_patient(patient_id) in self.patient_hashes

    def holds_patient(self, patient_id: str, image_digest: str | None = None) -> bool:
        """Whether a patient's images were used in training; see :meth:`position`."""
        return self.position(patient_id, image_digest) is not None

    def out_of_fold_of(
        self, patient_id: str, image_digest: str | None = None, *, name: str | None = None
    ) -> OutOfFold | None:
        """Return the out-of-fold probabilities of a training patient; None where not all images are the same.

        Parameters
        ----------
        patient_id : str
            Identifier.
        image_digest : str, optional
            As in the training table.
        name : str, optional
            A key of ``out_of_fold``; the first one when None.

        Raises
        ------
        UsageError
            If there is no such key.
        """
        key = next(iter(self.out_of_fold), "") if name is None else name
        if key not in self.out_of_fold:
            msg = f"There are no out-of-fold predictions {key!r}; there are: {', '.join(self.out_of_fold) or 'none'}."
            raise UsageError(msg)
        where = self.position(patient_id, image_digest)
        images = hash_image(image_digest)
        if where is None or (images and images != self.image_hashes[where]):
            return None
        per_repeat = self.out_of_fold[key][:, where, :]
        return OutOfFold(per_repeat.mean(axis=0), per_repeat)

    def check_spec(self, spec: Mapping[str, Any]) -> None:
        """Refuse a table that another specification made.

        Parameters
        ----------
        spec : mapping
            Settings of the table's specification.

        Raises
        ------
        SpecError
            Naming the settings that differ (``E_SPEC``).
        """
        ours, theirs = ({k: v for k, v in s.items() if k not in _NOT_COMPARED} for s in (self.feature_spec, spec))
        differences = spec_differences(ours, theirs)
        if differences:
            msg = f"The table was made with other settings (model != table): {'; '.join(differences[:8])}."
            raise SpecError(msg, hint="Extract the table with the specification of the model.")

    def predict(
        self, table: pd.DataFrame, *, image_digests: Sequence[str | None] | None = None, name: str | None = None
    ) -> Prediction:
        """Predict the patients of a table.

        Parameters
        ----------
        table : DataFrame, index patient_id
            Columns in any order; extra ones are ignored with a warning.
        image_digests : sequence of str, optional
            One per patient, to recognise training patients under another identifier.
        name : str, optional
            Model; the answering one when None.

        Returns
        -------
        Prediction

        Raises
        ------
        ModelError
            If columns are missing (``E_COLUMNS``).
        CohortError
            If a value is not a number (``E_TABLE``).
        """
        model = self.answering if name is None else self.model(name)
        array, issues = align(table, self.columns)
        p = model.predict_aligned(array)
        ids = [str(i) for i in table.index]
        digests = list(image_digests) if image_digests is not None else [None] * len(ids)
        return Prediction(
            probabilities=pd.DataFrame(p, index=table.index, columns=list(self.classes)),
            answers=tuple(self.classes[i] for i in p.argmax(axis=1)),
            flags=tuple(_undefined(i, row, model) for i, row in zip(ids, array, strict=True)),
            issues=tuple(issues),
            in_training=tuple(self.holds_patient(i, d) for i, d in zip(ids, digests, strict=True)),
        )


def _undefined(patient_id: str, row: Floats, model: FittedModel) -> tuple[Issue, ...]:
    used = set(model.final_columns)
    names = [c for c, v in zip(model.columns, row, strict=True) if c in used and np.isnan(v)]
    if not names:
        return ()
    message = f"{len(names)} measurements that the model uses are undefined and were replaced by the training median"
    return (Issue("W_MODEL_INPUT", f"{message}: {', '.join(names[:8])}.", patient_id),)
