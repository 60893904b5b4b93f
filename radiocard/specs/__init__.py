"""Frozen specifications: features, model recipes, rules, reference intervals, evaluation plans.

The only place where YAML is read. A specification holds every setting that changes a
value; its hash is in every table, model and report.
"""

from radiocard.specs.base import Interval
from radiocard.specs.discretisation import Discretisation
from radiocard.specs.features import (
    Aggregation,
    CardiacSettings,
    CheckSettings,
    Convention,
    Family,
    FeatureSpec,
    IvhSettings,
    Normalisation,
    Physiology,
    PyradiomicsNames,
    Resampling,
    Resegmentation,
    TextureSettings,
)
from radiocard.specs.models import (
    Criterion,
    CriterionGroup,
    EvaluationPlan,
    FeaturePools,
    ModelRecipe,
    ReferenceInterval,
    ReferenceSpec,
    RuleClass,
    RuleSpec,
    Selection,
    TaskSpec,
)
from radiocard.specs.read import (
    SCHEMAS,
    read_as,
    read_network,
    read_recipe,
    read_spec,
    read_task,
    shipped_folder,
    shipped_names,
    spec_differences,
)
from radiocard.specs.segmentation import NetworkRecipe
from radiocard.specs.validate import parse_as

__all__ = [
    "SCHEMAS",
    "Aggregation",
    "CardiacSettings",
    "CheckSettings",
    "Convention",
    "Criterion",
    "CriterionGroup",
    "Discretisation",
    "EvaluationPlan",
    "Family",
    "FeaturePools",
    "FeatureSpec",
    "Interval",
    "IvhSettings",
    "ModelRecipe",
    "NetworkRecipe",
    "Normalisation",
    "Physiology",
    "PyradiomicsNames",
    "ReferenceInterval",
    "ReferenceSpec",
    "Resampling",
    "Resegmentation",
    "RuleClass",
    "RuleSpec",
    "Selection",
    "TaskSpec",
    "TextureSettings",
    "parse_as",
    "read_as",
    "read_network",
    "read_recipe",
    "read_spec",
    "read_task",
    "shipped_folder",
    "shipped_names",
    "spec_differences",
]
