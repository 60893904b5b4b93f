"""radiocard: from a segmented cardiac MRI study to an explained diagnosis.

Research software, not a medical device: a person decides.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radiocard.errors import (
        CaseError,
        CohortError,
        Issue,
        LeakError,
        ModelError,
        OutputError,
        RadiocardError,
        SpecError,
        UsageError,
    )
    from radiocard.image import Case, Image, LabelMap
    from radiocard.io.cohort import CaseRef, Cohort, read_cohort
    from radiocard.io.store import read_table, write_table
    from radiocard.models.persist import load_model, save_model
    from radiocard.specs import FeatureSpec, ModelRecipe, read_recipe, read_spec
    from radiocard.study.demo import demo
    from radiocard.study.evaluate import evaluate
    from radiocard.study.extract import extract, extract_features, feature_maps, validate
    from radiocard.study.patient import explain_patient, report_patient, write_report
    from radiocard.study.predict import predict
    from radiocard.study.train import train

_HOME = {
    "Case": "image",
    "CaseError": "errors",
    "CaseRef": "io.cohort",
    "Cohort": "io.cohort",
    "CohortError": "errors",
    "FeatureSpec": "specs",
    "Image": "image",
    "Issue": "errors",
    "LabelMap": "image",
    "LeakError": "errors",
    "ModelError": "errors",
    "ModelRecipe": "specs",
    "OutputError": "errors",
    "RadiocardError": "errors",
    "SpecError": "errors",
    "UsageError": "errors",
    "demo": "study.demo",
    "evaluate": "study.evaluate",
    "explain_patient": "study.patient",
    "extract": "study.extract",
    "extract_features": "study.extract",
    "feature_maps": "study.extract",
    "load_model": "models.persist",
    "predict": "study.predict",
    "read_cohort": "io.cohort",
    "read_recipe": "specs",
    "read_spec": "specs",
    "read_table": "io.store",
    "report_patient": "study.patient",
    "save_model": "models.persist",
    "train": "study.train",
    "validate": "study.extract",
    "write_report": "study.patient",
    "write_table": "io.store",
}

__all__ = [
    "Case",
    "CaseError",
    "CaseRef",
    "Cohort",
    "CohortError",
    "FeatureSpec",
    "Image",
    "Issue",
    "LabelMap",
    "LeakError",
    "ModelError",
    "ModelRecipe",
    "OutputError",
    "RadiocardError",
    "SpecError",
    "UsageError",
    "demo",
    "evaluate",
    "explain_patient",
    "extract",
    "extract_features",
    "feature_maps",
    "load_model",
    "predict",
    "read_cohort",
    "read_recipe",
    "read_spec",
    "read_table",
    "report_patient",
    "save_model",
    "train",
    "validate",
    "write_report",
    "write_table",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import radiocard`` stays light."""
    if name == "__version__":
        from importlib.metadata import version

        return version("radiocard")
    if name not in _HOME:
        msg = f"module 'radiocard' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"radiocard.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
