"""Tasks, model recipes, published rules, reference intervals, feature pools and evaluation plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from radiocard.specs.base import Count, Frozen, Interval, Positive


class TaskSpec(Frozen):
    """A diagnostic question: what is measured, what models learn from, and what they are held against.

    ``study`` says what was examined, ``limits`` what an answer must not be used for.
    """

    schema_: Literal["radiocard/task/1"] = Field(alias="schema")
    name: str
    title: str
    study: str
    spec: str
    pool: str
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    rule: str
    limits: tuple[str, ...]


class Selection(Frozen):
    """Feature selection inside the fold: the k best columns, or none.

    Best by ANOVA F, by ANOVA F of each class in turn against all others, or by mutual
    information. A list of k is searched in the inner folds.
    """

    method: Literal["none", "anova", "anova_per_class", "mutual_info"]
    k: tuple[Count, ...] = ()


MemberKind = Literal[
    "svc_rbf",
    "random_forest",
    "xgboost",
    "logistic",
    "lda",
    "naive_bayes",
    "knn",
    "tree",
    "adaboost",
    "hist_boosting",
    "ebm",
]


class Member(Frozen):
    """One classifier of an ensemble: what it is and its settings; the probabilities of an SVM are sigmoids."""

    estimator: MemberKind
    fixed: Mapping[str, float | int | str | bool | None]


class ModelRecipe(Frozen):
    """How one kind of model is made, from raw columns to probabilities.

    ``members`` are the classifiers of ``voting`` and ``stacking``, or the two stages of a
    ``cascade``, whose first stage sets the class ``normal`` apart.
    """

    schema_: Literal["radiocard/model-recipe/1"] = Field(alias="schema")
    name: str
    title: str
    estimator: MemberKind | Literal["majority", "voting", "stacking", "cascade"]
    fixed: Mapping[str, float | int | str | bool | None]
    grid: Mapping[str, tuple[float | int | str | None, ...]]
    scale: Literal["standard", "none"]
    correlation_max: Annotated[float, Field(gt=0, le=1)]
    select: Selection
    calibration: Literal["none", "sigmoid", "isotonic", "temperature"]
    members: tuple[Member, ...] = ()
    normal: str | None = None


class Criterion(Frozen):
    """One comparison of a published rule; the value may depend on sex."""

    column: str
    op: Literal["lt", "le", "gt", "ge"]
    value: float | Mapping[Literal["F", "M"], float]


class CriterionGroup(Frozen):
    """Criteria of which at least ``at_least`` must hold."""

    at_least: Count
    of: tuple[Criterion, ...]


class RuleClass(Frozen):
    """One class of a published rule: the names it goes by, and what must hold."""

    label: str
    aliases: tuple[str, ...]
    criteria: tuple[CriterionGroup, ...]


class RuleSpec(Frozen):
    """Published class definitions; the first class whose criteria all hold is the answer.

    ``field_strength_t`` is what the cut-offs hold for, where they depend on it [T].
    """

    schema_: Literal["radiocard/rule/1"] = Field(alias="schema")
    name: str
    title: str
    citations: tuple[str, ...]
    classes: tuple[RuleClass, ...]
    field_strength_t: Positive | None = None


class ReferenceInterval(Frozen):
    """Mean and standard deviation of one measurement in healthy adults of one sex."""

    column: str
    sex: Literal["F", "M"]
    mean: float
    sd: Positive


class ReferenceSpec(Frozen):
    """A published set of reference values and the conventions it holds for."""

    schema_: Literal["radiocard/reference/1"] = Field(alias="schema")
    name: str
    citation: str
    doi: str
    papillary: Literal["cavity", "myocardium"]
    age_y: Interval
    intervals: tuple[ReferenceInterval, ...]


class FeaturePools(Frozen):
    """Named pools of columns a model may draw on; an entry may end in ``*``."""

    schema_: Literal["radiocard/pools/1"] = Field(alias="schema")
    pools: Mapping[str, tuple[str, ...]]


class EvaluationPlan(Frozen):
    """Nested cross-validation: folds, repeats, seed, bootstrap size."""

    schema_: Literal["radiocard/evaluation/1"] = Field(alias="schema")
    name: str
    outer_folds: Annotated[int, Field(ge=2)]
    repeats: Count
    inner_folds: Annotated[int, Field(ge=2)]
    n_bootstrap: Annotated[int, Field(ge=100)]
    calibration_bins: Annotated[int, Field(ge=2)]
    random_state: Annotated[int, Field(ge=0)]
