"""The estimators that a recipe can name, unfitted; seeds and single threads are set here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from radiocard.errors import SpecError
from radiocard.models.calibrate import calibrated
from radiocard.models.estimators import Cascade, NearestNeighbours
from radiocard.models.glass_box import GlassBoxClassifier
from radiocard.models.recipes import MEMBER_CALIBRATION
from radiocard.specs import ModelRecipe

META_ITERATIONS = 2000

_KINDS: Mapping[str, Callable[[int], Any]] = MappingProxyType(
    {
        "svc_rbf": lambda seed: SVC(kernel="rbf", random_state=seed),
        "random_forest": lambda seed: RandomForestClassifier(n_jobs=1, random_state=seed),
        "xgboost": lambda seed: XGBClassifier(tree_method="hist", n_jobs=1, random_state=seed),
        "logistic": lambda seed: LogisticRegression(random_state=seed),
        "majority": lambda _: DummyClassifier(strategy="prior"),
        "lda": lambda _: LinearDiscriminantAnalysis(solver="lsqr"),
        "naive_bayes": lambda _: GaussianNB(),
        # Brute force: no index has to be rebuilt from a file, and ties do not depend on it.
        "knn": lambda _: NearestNeighbours(algorithm="brute", n_jobs=1),
        "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
        "adaboost": lambda seed: AdaBoostClassifier(
            estimator=DecisionTreeClassifier(random_state=seed), random_state=seed
        ),
        # Early stopping would split rows with no regard to groups.
        "hist_boosting": lambda seed: HistGradientBoostingClassifier(early_stopping=False, random_state=seed),
        "ebm": lambda seed: GlassBoxClassifier(random_state=seed),
    }
)


def make_kind(kind: str, fixed: Mapping[str, Any], *, random_state: int) -> Any:
    """Make one classifier with its fixed settings.

    Parameters
    ----------
    kind : str
        ``estimator`` of a recipe, an ensemble excepted.
    fixed : mapping
        Settings, checked before.
    random_state : int
        Seed.

    Returns
    -------
    classifier
        Not fitted.
    """
    return _KINDS[kind](random_state).set_params(**fixed)


def make_ensemble(recipe: ModelRecipe, *, classes: Sequence[str], random_state: int) -> Any:
    """Make soft voting, stacking or a cascade of the recipe's members.

    Stacking learns a logistic regression from what the members say of rows that they were
    not fitted on. Members see the same columns. An SVM has no probabilities of its own; as a member it
    is calibrated by sigmoids on folds of its training rows.

    Parameters
    ----------
    recipe : ModelRecipe
        Checked before.
    classes : sequence of str
        Sorted labels; a cascade takes the position of its normal class from them.
    random_state : int
        Seed.

    Returns
    -------
    classifier
        Not fitted.

    Raises
    ------
    SpecError
        If the normal class of a cascade is not among the classes, or there are fewer than three.
    """
    members = [
        calibrated(
            make_kind(m.estimator, m.fixed, random_state=random_state),
            MEMBER_CALIBRATION if m.estimator == "svc_rbf" else "none",
        )
        for m in recipe.members
    ]
    named = [(f"member_{i}", member) for i, member in enumerate(members)]
    if recipe.estimator == "voting":
        return VotingClassifier(named, voting="soft").set_params(**recipe.fixed)
    if recipe.estimator == "stacking":
        final = LogisticRegression(max_iter=META_ITERATIONS, random_state=random_state)
        stacked = StackingClassifier(named, final_estimator=final, stack_method="predict_proba")
        return stacked.set_params(**recipe.fixed)
    if recipe.normal not in classes or len(classes) < 3:
        listed = ", ".join(classes) or "not known"
        msg = f"Recipe {recipe.name!r} sets {recipe.normal!r} apart first; the classes are {listed}."
        raise SpecError(msg, field="normal", hint="A cascade needs that class and at least two others.")
    first, second = members
    return Cascade(first, second, normal=list(classes).index(str(recipe.normal)))
