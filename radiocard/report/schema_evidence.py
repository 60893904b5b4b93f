"""Evidence about models: performance, trust, reasons; parts of the cohort report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radiocard.report.schema_base import Count, Curve, Estimate, Part, Probability


class Resampling(Part):
    """How patients were divided."""

    kind: Literal["nested cross-validation", "external test"]
    """Re-run of the recipe in nested folds, or a frozen model on other patients."""
    sentence: str
    """In words: folds, groups, what happens inside the fold."""
    outer_folds: Count | None = None
    """Outer folds."""
    inner_folds: Count | None = None
    """Inner folds."""
    repeats: Count | None = None
    """Repeats with other folds."""
    n_patients: Count
    """Patients tested."""
    n_groups: Count | None = None
    """Groups that are never split."""


class ModelRow(Part):
    """One line of the table of models."""

    model: str
    """Name."""
    kind: Literal["answer", "model", "baseline"]
    """``answer`` is what the product gives; baselines need no training."""
    metrics: dict[str, Estimate]
    """Key of ``Performance.metrics`` to its estimate; a missing key is shown as a dash."""


class MetricColumn(Part):
    """A column of the table of models."""

    key: str
    """Key in ``ModelRow.metrics``."""
    name: str
    """Heading."""
    percent: bool = True
    """Whether to print percentages."""
    better: Literal["higher", "lower", "one"]
    """Which way is good; ``one`` for a slope."""


class ClassCurve(Part):
    """One curve of one class against the others."""

    label: str
    """Class label."""
    points: Curve = Field(min_length=2)
    """(x, y) in the order to be drawn."""
    area: Estimate | None = None
    """Area under the curve."""


class CurveSet(Part):
    """Curves of one model."""

    model: str
    """Model."""
    curves: list[ClassCurve] = Field(min_length=1)
    """One per class."""


class ClassQuality(Part):
    """Sensitivity and specificity of one class."""

    label: str
    """Class label."""
    sensitivity: Estimate
    """Share of the patients of the class who are called so."""
    specificity: Estimate
    """Share of the other patients who are not called so."""


class Confusion(Part):
    """Truth (rows) against answer (columns)."""

    model: str
    """Model."""
    labels: list[str]
    """Answers, one per column: the class labels, and 'no answer' last where the model abstained."""
    counts: list[list[float]]
    """Patients, one row per class in the order of the labels; averaged over the repeats when there are several."""
    quality: list[ClassQuality] = Field(default_factory=list)
    """Per class, with intervals."""


class PairedTest(Part):
    """Two models on the same patients."""

    a: str
    """First model."""
    b: str
    """Second model."""
    only_a: float
    """Patients whom only the first gets right."""
    only_b: float
    """Patients whom only the second gets right."""
    p: Probability
    """p-value."""
    method: str
    """For example 'McNemar, exact'."""


class GroupRow(Part):
    """Quality within one group of patients."""

    covariate: str
    """For example 'Site'."""
    group: str
    """For example 'site B'."""
    n: Count
    """Patients."""
    metrics: dict[str, Estimate]
    """Key of ``Performance.metrics`` to its estimate."""


class Performance(Part):
    """Section 4: performance."""

    resampling: Resampling | None = None
    """How patients were divided."""
    metrics: list[MetricColumn] = Field(default_factory=list)
    """Columns of the tables."""
    models: list[ModelRow] = Field(default_factory=list)
    """Models and baselines side by side."""
    interval_note: str | None = None
    """What the intervals are taken over."""
    roc: list[CurveSet] = Field(default_factory=list)
    """(1 - specificity, sensitivity)."""
    precision_recall: list[CurveSet] = Field(default_factory=list)
    """(sensitivity, positive predictive value)."""
    confusion: list[Confusion] = Field(default_factory=list)
    """Confusion matrices."""
    paired: list[PairedTest] = Field(default_factory=list)
    """Paired tests."""
    groups: list[GroupRow] = Field(default_factory=list)
    """By sex, age, body size, site, vendor and field strength."""
    group_notes: list[str] = Field(default_factory=list)
    """The largest difference of each covariate, and which difference could have been seen."""


class ReliabilityBin(Part):
    """One bin of the reliability curve."""

    predicted: Probability
    """Mean probability."""
    observed: Probability
    """Share that came true."""
    n: Count
    """Predictions in the bin."""
    low: Probability | None = None
    """Lower end of the interval of the share."""
    high: Probability | None = None
    """Upper end of the interval of the share."""


class Reliability(Part):
    """How far the probabilities of one model can be taken at their word."""

    model: str
    """Model."""
    bins: list[ReliabilityBin] = Field(default_factory=list)
    """Equal-mass bins of the top-label probability."""
    ece: Estimate | None = None
    """Expected calibration error of the top label."""
    ece_expected: float | None = None
    """The value a perfectly calibrated model shows with these patients and bins."""
    ece_classwise: Estimate | None = None
    """Class-wise expected calibration error."""
    ece_classwise_expected: float | None = None
    """Its value under perfect calibration."""
    slope: Estimate | None = None
    """Calibration slope; 1 is ideal, below 1 is overconfident."""
    brier: Estimate | None = None
    """Brier score."""
    log_loss: Estimate | None = None
    """Log-loss."""


class Trust(Part):
    """Section 5: trust."""

    models: list[Reliability] = Field(min_length=1)
    """One per model."""
    note: str | None = None
    """Bins and definitions."""


class BeeswarmRow(Part):
    """SHAP values of one feature over all patients."""

    column: str
    """Column."""
    name: str
    """Plain name."""
    points: list[tuple[float, Probability | None]]
    """(SHAP value, rank of the feature value from 0 to 1; null where undefined)."""


class Beeswarm(Part):
    """SHAP values of one class."""

    label: str
    """Class explained."""
    rows: list[BeeswarmRow] = Field(min_length=1)
    """Features, most important first."""


class Importance(Part):
    """Mean absolute SHAP value of one feature."""

    column: str
    """Column."""
    name: str
    """Plain name."""
    estimate: Estimate
    """Mean over patients and classes, with interval where it was computed."""


class SelectionShare(Part):
    """How often a feature was chosen."""

    column: str
    """Column."""
    name: str
    """Plain name."""
    chosen: Count
    """Outer folds in which it was chosen."""
    of: Count
    """Outer folds."""


class Reasons(Part):
    """Section 6: reasons."""

    model: str
    """Model explained."""
    scale: Literal["log-odds", "probability"]
    """Unit of the SHAP values."""
    note: str | None = None
    """What exactly is explained."""
    importance: list[Importance] = Field(default_factory=list)
    """Most important first."""
    beeswarms: list[Beeswarm] = Field(default_factory=list)
    """One per class."""
    selection: list[SelectionShare] = Field(default_factory=list)
    """Most often chosen first."""
