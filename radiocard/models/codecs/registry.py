"""The explicit list of codecs, and the refusal of a pipeline that holds a step without one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from radiocard.errors import SpecError
from radiocard.models.codecs import boosting, calibrated, classifiers, forest, plain, sites, steps, tree_models
from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.codecs.codec import Codec
from radiocard.models.codecs.ensembles import EnsembleCodecs
from radiocard.models.estimators import Cascade, NearestNeighbours
from radiocard.models.glass_box import GlassBoxClassifier
from radiocard.models.harmonise import Combat
from radiocard.models.sites import SiteScaler
from radiocard.models.steps import CorrelationFilter, DropUnusable, SelectTop


def _calibrated_arrays(model: CalibratedClassifierCV) -> Mapping[str, Array]:
    inner = model.calibrated_classifiers_[0].estimator
    return {**CODECS[type(inner)].arrays(inner), **calibrated.calibrator_arrays(model)}


def _restore_calibrated(model: CalibratedClassifierCV, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    CODECS[type(model.estimator)].restore(model.estimator, arrays, n_features, n_classes)
    return calibrated.restore_calibrators(model, arrays, n_features, n_classes)


_MEMBERS: Mapping[type, Codec] = MappingProxyType(
    {
        LogisticRegression: Codec(classifiers.logistic_arrays, classifiers.restore_logistic),
        RandomForestClassifier: Codec(forest.forest_arrays, forest.restore_forest),
        XGBClassifier: Codec(boosting.boosting_arrays, boosting.restore_boosting),
        LinearDiscriminantAnalysis: Codec(plain.lda_arrays, plain.restore_lda),
        GaussianNB: Codec(plain.naive_bayes_arrays, plain.restore_naive_bayes),
        NearestNeighbours: Codec(plain.neighbours_arrays, plain.restore_neighbours),
        GlassBoxClassifier: Codec(plain.glass_box_arrays, plain.restore_glass_box),
        DecisionTreeClassifier: Codec(tree_models.tree_arrays, tree_models.restore_tree),
        AdaBoostClassifier: Codec(tree_models.adaboost_arrays, tree_models.restore_adaboost),
        HistGradientBoostingClassifier: Codec(tree_models.hist_boosting_arrays, tree_models.restore_hist_boosting),
        CalibratedClassifierCV: Codec(_calibrated_arrays, _restore_calibrated),
    }
)
_ENSEMBLES = EnsembleCodecs(_MEMBERS)
CODECS: Mapping[type, Codec] = MappingProxyType(
    {
        **_MEMBERS,
        DropUnusable: Codec(steps.drop_arrays, steps.restore_drop),
        SimpleImputer: Codec(steps.impute_arrays, steps.restore_impute),
        CorrelationFilter: Codec(steps.decorrelate_arrays, steps.restore_decorrelate),
        StandardScaler: Codec(steps.scale_arrays, steps.restore_scale),
        SelectTop: Codec(steps.select_arrays, steps.restore_select),
        DummyClassifier: Codec(classifiers.majority_arrays, classifiers.restore_majority),
        SVC: Codec(classifiers.svm_arrays, classifiers.restore_svm),
        VotingClassifier: Codec(_ENSEMBLES.voting_arrays, _ENSEMBLES.restore_voting),
        StackingClassifier: Codec(_ENSEMBLES.stacking_arrays, _ENSEMBLES.restore_stacking),
        Cascade: Codec(_ENSEMBLES.cascade_arrays, _ENSEMBLES.restore_cascade),
        Combat: Codec(sites.combat_arrays, sites.restore_combat),
        SiteScaler: Codec(sites.scaler_arrays, sites.restore_scaler),
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
        if type(step) not in CODECS or (inner is not None and type(inner) not in CODECS):
            kind = type(inner or step).__name__
            msg = f"Step {name!r} ({kind}) has no codec, so the model could not be saved; nothing was trained."
            raise SpecError(msg, field=name)
