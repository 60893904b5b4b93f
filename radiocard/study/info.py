"""What is installed, and what a model, table or cohort holds."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from radiocard.segmentation.backend import QUALITY
from radiocard.segmentation.card import CARD, read_card
from radiocard.specs import EvaluationPlan, FeatureSpec, ModelRecipe, NetworkRecipe, shipped_names

DEPENDENCIES = ("numpy", "scipy", "pandas", "scikit-learn", "xgboost", "shap", "SimpleITK", "nibabel", "matplotlib")
EXTRAS = {
    "cnn": "torch",
    "dicom": "highdicom",
    "ebm": "interpret",
    "onnx": "onnxruntime",
    "pdf": "weasyprint",
    "pyradiomics": "radiomics",
}


def software_versions() -> dict[str, str]:
    """Return radiocard, Python and the packages that decide values, with their versions."""
    found = {"radiocard": version("radiocard"), "python": platform.python_version()}
    for name in DEPENDENCIES:
        for package in (name, f"{name}-cpu"):
            try:
                found[name] = version(package)
            except PackageNotFoundError:
                continue
            break
    return found


def about_installation() -> dict[str, Any]:
    """Return versions, shipped specifications and recipes, and which extras are there."""
    extras = [f"{name} ({'installed' if find_spec(module) else 'not installed'})" for name, module in EXTRAS.items()]
    return {
        **software_versions(),
        "platform": platform.platform(terse=True),
        "feature_specifications": shipped_names("feature_specs", FeatureSpec),
        "model_recipes": shipped_names("models", ModelRecipe),
        "evaluation_plans": shipped_names("models", EvaluationPlan),
        "network_recipes": shipped_names("models", NetworkRecipe),
        "extras": extras,
    }


def about_path(path: Path) -> dict[str, Any]:
    """Return what a model file, a table, a network or a cohort holds.

    Parameters
    ----------
    path : Path
        Model file, table (.parquet, .csv with its .meta.json), folder of a network, or cohort.

    Returns
    -------
    dict
        Facts by name.

    Raises
    ------
    ModelError, CohortError
        If it cannot be read.
    """
    if (path / CARD).is_file():
        return _about_network(path)
    if path.is_dir():
        return _about_cohort(path)
    if path.suffix == ".parquet" or (path.suffix == ".csv" and path.with_name(f"{path.name}.meta.json").exists()):
        return _about_table(path)
    if path.suffix == ".csv":
        return _about_cohort(path)
    return _about_model(path)


def _about_cohort(path: Path) -> dict[str, Any]:
    from radiocard.io.cohort import read_cohort

    cohort = read_cohort(path)
    classes = sorted({str(ref.clinical["diagnosis"]) for ref in cohort.cases if ref.clinical.get("diagnosis")})
    return {
        "kind": "cohort",
        "layout": cohort.layout,
        "labels": cohort.label_convention,
        "cases": len(cohort.cases),
        "classes": classes,
    }


def _about_network(path: Path) -> dict[str, Any]:
    card = read_card(path)
    return {
        "kind": "network",
        "network": card.short_id,
        "recipe": card.recipe.name,
        "members": [member.name for member in card.members],
        "trained_on": f"{card.n_patients} {'simulated ' if card.simulated else ''}patients",
        "onnx": "yes" if all("onnx" in member.files for member in card.members) else "no",
        "quality_model": "yes" if (path / QUALITY).is_file() else "no",
    }


def _about_table(path: Path) -> dict[str, Any]:
    from radiocard.cohort.table import feature_columns, specification
    from radiocard.io.store import read_table

    table = read_table(path)
    made = specification(table)
    counts = table["diagnosis"].value_counts()
    return {
        "kind": "table",
        "patients": len(table),
        "feature_columns": len(feature_columns(table)),
        "classes": [f"{name} {n}" for name, n in counts.items()],
        "specification": f"{made['spec_name']} {made['spec_hash'][:12]}",
        "layout": made.get("layout"),
        "made_by": f"radiocard {made.get('version')}",
    }


def _about_model(path: Path) -> dict[str, Any]:
    from radiocard.models.persist import load_model
    from radiocard.study.train import summarise

    model = load_model(path)
    return {"kind": "model", "model_id": model.model_id, **summarise(model)}
