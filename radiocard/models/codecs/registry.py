"""The explicit list of codecs, and the refusal of a pipeline that holds a step without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from radiocard.errors import SpecError
from radiocard.models.codecs import boosting, classifiers, forest, steps
from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.steps import CorrelationFilter, DropUnusable, SelectTop


@dataclass(frozen=True)
class Codec:
    """How the learned attributes of one class become arrays, and back.

    Parameters
    ----------
    arrays : callable
        Fitted step to named arrays.
    restore : callable
        Takes an unfitted step with its settings, the arrays, the number of columns and
        the number of classes; fills the step and returns the number of columns it lets
        through.
    """

    arrays: Callable[[Any], Mapping[str, Array]]
    restore: Callable[[Any, ArrayReader, int, int], int]


CODECS: Mapping[type, Codec] = MappingProxyType(
    {
        DropUnusable: Codec(steps.drop_arrays, steps.restore_drop),
        SimpleImputer: Codec(steps.impute_arrays, steps.restore_impute),
        CorrelationFilter: Codec(steps.decorrelate_arrays, steps.restore_decorrelate),
        StandardScaler: Codec(steps.scale_arrays, steps.restore_scale),
        SelectTop: Codec(steps.select_arrays, steps.restore_select),
        LogisticRegression: Codec(classifiers.logistic_arrays, classifiers.restore_logistic),
        DummyClassifier: Codec(classifiers.majority_arrays, classifiers.restore_majority),
        CalibratedClassifierCV: Codec(classifiers.svm_arrays, classifiers.restore_svm),
        RandomForestClassifier: Codec(forest.forest_arrays, forest.restore_forest),
        XGBClassifier: Codec(boosting.boosting_arrays, boosting.restore_boosting),
    }
)


def require_codecs(pipeline: Pipeline) -> None:
    """Refuse a pipeline that could be trained but not saved; called before any fit.

    Raises
    ------
    SpecError
        Naming the step.
    """
    for name, step in pipeline.steps:
        inner = getattr(step, "estimator", None) if isinstance(step, CalibratedClassifierCV) else None
        if type(step) not in CODECS or (inner is not None and type(inner) is not SVC):
            kind = type(inner or step).__name__
            msg = f"Step {name!r} ({kind}) has no codec, so the model could not be saved; nothing was trained."
            raise SpecError(msg, field=name)
