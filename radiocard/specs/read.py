"""Specifications by shipped name or by path, and what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from radiocard.errors import SpecError
from radiocard.specs.base import Frozen
from radiocard.specs.checklists import ChecklistSpec
from radiocard.specs.classifier import ClassifierRecipe
from radiocard.specs.features import FeatureSpec
from radiocard.specs.models import EvaluationPlan, FeaturePools, ModelRecipe, ReferenceSpec, RuleSpec, TaskSpec
from radiocard.specs.pyradiomics import from_parameters, is_parameter_file
from radiocard.specs.safe_yaml import load_yaml
from radiocard.specs.segmentation import NetworkRecipe
from radiocard.specs.validate import parse_as

SCHEMAS: Mapping[str, type[Frozen]] = {
    "radiocard/feature-spec/1": FeatureSpec,
    "radiocard/model-recipe/1": ModelRecipe,
    "radiocard/rule/1": RuleSpec,
    "radiocard/reference/1": ReferenceSpec,
    "radiocard/pools/1": FeaturePools,
    "radiocard/evaluation/1": EvaluationPlan,
    "radiocard/task/1": TaskSpec,
    "radiocard/checklist/1": ChecklistSpec,
    "radiocard/network/1": NetworkRecipe,
    "radiocard/image-classifier/1": ClassifierRecipe,
}
T = TypeVar("T", bound=Frozen)


def shipped_folder(kind: Literal["feature_specs", "models"]) -> Path:
    """Return the folder of the files that come with radiocard, from a wheel or a checkout alike."""
    package = Path(str(resources.files("radiocard")))
    for folder in (package / "_shipped" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    msg = f"The shipped folder {kind!r} is missing from this installation."
    raise SpecError(msg, hint="Reinstall radiocard.")


def shipped_names(folder: Literal["feature_specs", "models"], kind: type[Frozen] | None = None) -> list[str]:
    """Return the names of the shipped files of a folder, sorted; of one kind only where it is given."""
    found = shipped_folder(folder).rglob("*.yaml")
    return sorted(p.stem for p in found if kind is None or SCHEMAS.get(str(load_yaml(p).get("schema"))) is kind)


def read_spec(source: str | Path) -> FeatureSpec:
    """Read a feature specification by shipped name or by path.

    Parameters
    ----------
    source : str or Path
        A shipped name such as ``cine_sax``, or the path of a YAML file. A parameter file of
        PyRadiomics is read as it is, see :func:`radiocard.specs.pyradiomics.from_parameters`.

    Returns
    -------
    FeatureSpec

    Raises
    ------
    SpecError
        If the file is unsafe, malformed, or holds unknown or missing settings.

    Examples
    --------
    >>> read_spec("cine_sax").discretisation.tag
    'fbn32'
    """
    return read_as(FeatureSpec, source, "feature_specs")


def read_recipe(source: str | Path) -> ModelRecipe:
    """Read a model recipe by shipped name (``svm``, ``rf``, ``xgboost``, ``logistic``) or path."""
    return read_as(ModelRecipe, source, "models")


def read_task(source: str | Path) -> TaskSpec:
    """Read a task by shipped name (``cine``, ``t1-amyloid``) or path."""
    return read_as(TaskSpec, source, "models")


def read_network(source: str | Path) -> NetworkRecipe:
    """Read the recipe of a segmentation network by shipped name (``dynunet``, ``unet``) or path."""
    return read_as(NetworkRecipe, source, "models")


def read_as(kind: type[T], source: str | Path, folder: Literal["feature_specs", "models"]) -> T:
    """Read a specification of a given kind by shipped name or by path.

    Raises
    ------
    SpecError
        If there is no such file, or it holds another kind of specification.
    """
    path = _locate(source, folder, kind)
    data = load_yaml(path)
    if is_parameter_file(data) and kind is FeatureSpec:
        base = read_spec("cine_sax")
        return parse_as(kind, from_parameters(data, base=base.settings(), name=path.stem), path.name)
    schema = data.get("schema")
    cls = SCHEMAS.get(str(schema))
    if cls is None:
        known = ", ".join(sorted(SCHEMAS))
        msg = f"{path.name}: 'schema' is {schema!r}, expected one of {known}."
        raise SpecError(msg)
    if cls is not kind:
        wanted = " or ".join(name for name, known in SCHEMAS.items() if known is kind)
        msg = f"{path.name} is a {schema}, expected {wanted}."
        raise SpecError(msg)
    return parse_as(kind, data, path.name)


def spec_differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the settings in which two specifications differ, as ``path: a != b``."""
    out: list[str] = []
    for key in sorted({*a, *b}):
        x, y = a.get(key), b.get(key)
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            out += spec_differences(x, y, f"{prefix}{key}.")
        elif x != y:
            out.append(f"{prefix}{key}: {x} != {y}")
    return out


def _locate(source: str | Path, folder: Literal["feature_specs", "models"], kind: type[Frozen]) -> Path:
    path = Path(source)
    if path.suffix in {".yaml", ".yml"}:
        if path.is_file():
            return path
        msg = f"There is no specification file {path.name!r}."
        raise SpecError(msg)
    hits = [p for p in shipped_folder(folder).rglob("*.yaml") if p.stem == str(source)]
    if hits:
        return hits[0]
    names = shipped_names(folder, kind)
    close = difflib.get_close_matches(str(source), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Shipped: {', '.join(names)}."
    what = {ModelRecipe: "model recipe", TaskSpec: "task", NetworkRecipe: "network recipe"}.get(kind, "specification")
    msg = f"There is no shipped {what} {str(source)!r}."
    raise SpecError(msg, hint=hint)
