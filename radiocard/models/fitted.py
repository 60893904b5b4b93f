"""A trained model: the fitted pipeline, how it was chosen, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from radiocard.errors import Issue, ModelError
from radiocard.models.recipes import Value
from radiocard.models.table import align
from radiocard.specs import ModelRecipe


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One trained model.

    Parameters
    ----------
    recipe : ModelRecipe
        How it was made.
    estimator : sklearn.pipeline.Pipeline
        Fitted on arrays; its classes are the positions in ``classes``.
    params : mapping of str to value
        The candidate that the inner folds chose.
    inner_log_loss : float
        Log-loss of that candidate over the inner folds [nat].
    classes : tuple of str
        Labels of the cohort, sorted; the order of every probability.
    columns : tuple of str
        Columns that the pipeline takes, sorted.
    random_state : int
        Seed.
    """

    recipe: ModelRecipe
    estimator: Pipeline
    params: Mapping[str, Value]
    inner_log_loss: float
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    random_state: int

    @property
    def name(self) -> str:
        """Short name, for example ``svm``."""
        return self.recipe.name

    @property
    def title(self) -> str:
        """Name for readers."""
        return self.recipe.title

    @property
    def final(self) -> Any:
        """Classifier at the end of the pipeline; takes the columns of :attr:`final_columns`."""
        return self.estimator.steps[-1][1]

    @property
    def final_columns(self) -> tuple[str, ...]:
        """Columns that reach the classifier."""
        names = np.asarray(self.columns, dtype=object)
        for _, step in self.estimator.steps[:-1]:
            if hasattr(step, "get_support"):
                names = names[step.get_support()]
        return tuple(str(n) for n in names)

    @property
    def left_out(self) -> dict[str, tuple[str, ...]]:
        """Columns that do not reach the classifier, by reason.

        The reasons are ``empty``, ``constant``, ``correlated`` and ``not_selected``.
        """
        names = np.asarray(self.columns, dtype=object)
        out: dict[str, tuple[str, ...]] = {}
        for name, step in self.estimator.steps[:-1]:
            if not hasattr(step, "get_support"):
                continue
            if name == "drop":
                out["empty"] = tuple(names[step.empty_])
                out["constant"] = tuple(names[step.constant_])
            else:
                out["correlated" if name == "decorrelate" else "not_selected"] = tuple(names[~step.get_support()])
            names = names[step.get_support()]
        return out

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return class probabilities, shape (n_patients, n_classes), in the order of ``classes``.

        Parameters
        ----------
        X : DataFrame
            Columns in any order; extra ones are ignored.

        Raises
        ------
        ModelError
            If columns are missing (``E_COLUMNS``) or a probability is not a number.
        CohortError
            If a value is not a number (``E_TABLE``).
        """
        return self.predict_aligned(self.align(X)[0])

    def predict_aligned(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Like :meth:`predict_proba`, for an array that is already on ``columns``."""
        if len(array) == 0:
            return np.zeros((0, len(self.classes)))
        p = np.asarray(self.estimator.predict_proba(array), dtype=np.float64)
        if not np.isfinite(p).all():
            msg = f"Model {self.name!r} gave a probability that is not a number."
            raise ModelError(msg)
        return p

    def align(self, X: pd.DataFrame) -> tuple[NDArray[np.float64], list[Issue]]:
        """Put a table on the columns of the model; see :func:`radiocard.models.table.align`."""
        return align(X, self.columns)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what reaches the classifier: imputed, scaled, selected; index kept."""
        array = self.align(X)[0]
        for _, step in self.estimator.steps[:-1]:
            array = step.transform(array)
        return pd.DataFrame(array, index=X.index, columns=list(self.final_columns))
