"""Why the model answers as it does, and what the published rule says; parts of the patient report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radiocard.report.schema_base import Count, Part


class WaterfallItem(Part):
    """One step of a waterfall."""

    column: str
    """Column, or a word such as 'rest' for several columns together."""
    name: str
    """Plain name."""
    value_text: str | None = None
    """This patient's value with its unit."""
    contribution: float
    """SHAP value in the stated scale."""


class Waterfall(Part):
    """From the base value to the model's output for one class; base + contributions = output."""

    label: str
    """Class label."""
    name: str | None = None
    """Plain name of the class."""
    base: float
    """Mean output over the background."""
    output: float
    """Output for this patient."""
    items: list[WaterfallItem] = Field(min_length=1)
    """Steps in the order to be shown."""


class FeatureStory(Part):
    """What one feature means, and where this patient stands among the training classes."""

    column: str
    """Column of the feature table."""
    name: str
    """Plain name."""
    meaning: str
    """One sentence."""
    unit: str
    """Unit; empty when there is none."""
    value: float | None
    """This patient's value."""
    family: str | None = None
    """Clinical family."""
    strip: dict[str, list[float]] = Field(default_factory=dict)
    """Class label to the values of its training patients, this patient left out."""
    medians: dict[str, float] = Field(default_factory=dict)
    """Class label to the median of those values."""


class FamilyShare(Part):
    """What one clinical family contributes to the first class."""

    family: str
    """Name of the family."""
    contribution: float
    """Sum of its SHAP values."""


class Why(Part):
    """Section 4: why."""

    scale: Literal["log-odds", "probability"]
    """Unit of all contributions."""
    explained_output: str
    """What exactly is explained, and how it differs from the printed percentage where it does."""
    classes: list[Waterfall] = Field(default_factory=list)
    """First and second class."""
    families: list[FamilyShare] = Field(default_factory=list)
    """Contributions to the first class by clinical family."""
    sentences: list[str] = Field(default_factory=list)
    """The explanation in clinical words."""
    features: list[FeatureStory] = Field(default_factory=list)
    """Top features."""


class RuleCriterion(Part):
    """One comparison of the published rule."""

    text: str
    """The criterion in words, for example 'LV ejection fraction below 40 %'."""
    column: str
    """Column compared."""
    value: float | None
    """This patient's value."""
    unit: str
    """Unit of the value."""
    holds: bool | None
    """Whether it holds; null where the value is undefined."""


class RuleGroup(Part):
    """Criteria of which at least ``at_least`` must hold."""

    at_least: Count
    """How many must hold."""
    criteria: list[RuleCriterion] = Field(min_length=1)
    """The criteria."""


class RuleReading(Part):
    """One class of the published rule, read on this patient."""

    label: str
    """Class label."""
    name: str | None = None
    """Plain name of the class."""
    holds: bool
    """Whether all its groups hold."""
    groups: list[RuleGroup]
    """Groups of criteria; empty for a class that is the answer when no other holds."""


class Rule(Part):
    """The published class definitions read on this patient, beside the model."""

    title: str
    """Name of the rule."""
    answer: str | None
    """Label the rule gives; null when none."""
    agrees: bool | None = None
    """Whether it is the model's first class."""
    classes: list[RuleReading]
    """Classes in the order of the rule."""
    citations: list[str] = Field(default_factory=list)
    """Sources."""
    note: str | None = None
    """For example which cut-offs were used where sex is unknown."""
