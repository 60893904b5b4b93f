"""Frozen specifications: features, model recipes, rules, reference intervals, evaluation plans.

The only place where YAML is read. A specification holds every setting that changes a
value; its hash is in every table, model and report.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from radiocard.errors import SpecError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12

GlcmAggregation = Literal["2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"]
Family = Literal["shape_3d", "shape_2d", "intensity", "histogram", "glcm"]
Region = Literal["lv_cavity", "lv_myocardium", "rv_cavity"]
PhaseName = Literal["ed", "es"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Interval = tuple[float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class Normalisation(_Frozen):
    """Intensity normalisation before feature extraction.

    ``zscore`` subtracts the mean and divides by the standard deviation of the voxels of
    all labelled regions (``labelled``), or of the whole image (``image``).
    """

    method: Literal["none", "zscore"]
    within: Literal["labelled", "image"]


class Discretisation(_Frozen):
    """Grey level discretisation: fixed bin number (``fbn``) or fixed bin size (``fbs``)."""

    method: Literal["fbn", "fbs"]
    bins: Count | None = None
    width: Positive | None = None
    max_bins: Count

    @model_validator(mode="after")
    def _one_of(self) -> Discretisation:
        if (self.method == "fbn") != (self.bins is not None) or (self.method == "fbs") != (self.width is not None):
            msg = "fbn takes 'bins' and no 'width'; fbs takes 'width' and no 'bins'"
            raise ValueError(msg)
        return self

    @property
    def tag(self) -> str:
        """Column suffix, for example ``fbn32`` or ``fbs25``."""
        return f"fbn{self.bins}" if self.method == "fbn" else f"fbs{self.width:g}".replace(".", "p")


class GlcmSettings(_Frozen):
    """Co-occurrence matrix: IBSI aggregation methods and Chebyshev distance [voxel]."""

    aggregation: tuple[GlcmAggregation, ...]
    distance: Count


class RoiSettings(_Frozen):
    """What a region must be to be described."""

    min_voxels: Count
    keep_largest: bool


class CardiacSettings(_Frozen):
    """Conventions of the cardiac measurements."""

    bsa_formula: Literal["mosteller", "dubois"]
    myocardial_density_g_ml: Positive
    papillary: Literal["cavity", "myocardium"]
    reference: str | None


class CheckSettings(_Frozen):
    """Limits of the input checks; they flag, they never change a value."""

    grid_tolerance_voxel: Positive
    component_min_voxels: Count
    stroke_volume_difference_pct: Positive
    lvef_pct: Interval
    rvef_pct: Interval
    lvedv_ml: Interval
    rvedv_ml: Interval
    lvm_g: Interval
    wall_thickness_mm: Interval


class FeatureSpec(_Frozen):
    """Everything that decides the columns of a table and their values."""

    schema_: Literal["radiocard/feature-spec/1"] = Field(alias="schema")
    name: str
    description: str
    engine: Literal["native", "pyradiomics"]
    convention: Literal["ibsi", "pyradiomics"]
    sequence: Literal["cine"]
    phases: tuple[PhaseName, ...]
    regions: tuple[Region, ...]
    normalisation: Normalisation
    discretisation: Discretisation
    families: tuple[Family, ...]
    glcm: GlcmSettings
    roi: RoiSettings
    cardiac: CardiacSettings
    checks: CheckSettings

    @field_validator("phases", "regions")
    @classmethod
    def _complete(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        needed = get_args(PhaseName if info.field_name == "phases" else Region)
        if not set(needed) <= set(value):
            msg = f"the cardiac measurements need {', '.join(needed)}"
            raise ValueError(msg)
        return value

    @property
    def hash(self) -> str:
        """SHA-256 of every setting that changes a value (name, description and limits do not)."""
        return _digest({k: v for k, v in self.settings().items() if k != "checks"})

    def settings(self) -> dict[str, Any]:
        """Return all settings as plain data, without name and description."""
        return self.model_dump(mode="json", by_alias=True, exclude={"name", "description"})


class Selection(_Frozen):
    """Feature selection inside the fold: the k best columns, or none.

    Best by ANOVA F, by ANOVA F of each class in turn against all others, or by mutual
    information. A list of k is searched in the inner folds.
    """

    method: Literal["none", "anova", "anova_per_class", "mutual_info"]
    k: tuple[Count, ...] = ()


class ModelRecipe(_Frozen):
    """How one kind of model is made, from raw columns to probabilities."""

    schema_: Literal["radiocard/model-recipe/1"] = Field(alias="schema")
    name: str
    title: str
    estimator: Literal["svc_rbf", "random_forest", "xgboost", "logistic", "majority"]
    fixed: Mapping[str, float | int | str | bool | None]
    grid: Mapping[str, tuple[float | int | str | None, ...]]
    scale: Literal["standard", "none"]
    correlation_max: Annotated[float, Field(gt=0, le=1)]
    select: Selection
    calibration: Literal["none", "sigmoid"]


class Criterion(_Frozen):
    """One comparison of a published rule; the value may depend on sex."""

    column: str
    op: Literal["lt", "le", "gt", "ge"]
    value: float | Mapping[Literal["F", "M"], float]


class CriterionGroup(_Frozen):
    """Criteria of which at least ``at_least`` must hold."""

    at_least: Count
    of: tuple[Criterion, ...]


class RuleClass(_Frozen):
    """One class of a published rule: the names it goes by, and what must hold."""

    label: str
    aliases: tuple[str, ...]
    criteria: tuple[CriterionGroup, ...]


class RuleSpec(_Frozen):
    """Published class definitions; the first class whose criteria all hold is the answer."""

    schema_: Literal["radiocard/rule/1"] = Field(alias="schema")
    name: str
    title: str
    citations: tuple[str, ...]
    classes: tuple[RuleClass, ...]


class ReferenceInterval(_Frozen):
    """Mean and standard deviation of one measurement in healthy adults of one sex."""

    column: str
    sex: Literal["F", "M"]
    mean: float
    sd: Positive


class ReferenceSpec(_Frozen):
    """A published set of reference values and the conventions it holds for."""

    schema_: Literal["radiocard/reference/1"] = Field(alias="schema")
    name: str
    citation: str
    doi: str
    papillary: Literal["cavity", "myocardium"]
    age_y: Interval
    intervals: tuple[ReferenceInterval, ...]


class FeaturePools(_Frozen):
    """Named pools of columns a model may draw on; an entry may end in ``*``."""

    schema_: Literal["radiocard/pools/1"] = Field(alias="schema")
    pools: Mapping[str, tuple[str, ...]]


class EvaluationPlan(_Frozen):
    """Nested cross-validation: folds, repeats, seed, bootstrap size."""

    schema_: Literal["radiocard/evaluation/1"] = Field(alias="schema")
    name: str
    outer_folds: Annotated[int, Field(ge=2)]
    repeats: Count
    inner_folds: Annotated[int, Field(ge=2)]
    n_bootstrap: Annotated[int, Field(ge=100)]
    calibration_bins: Annotated[int, Field(ge=2)]
    random_state: Annotated[int, Field(ge=0)]


Spec = FeatureSpec | ModelRecipe | RuleSpec | ReferenceSpec | FeaturePools | EvaluationPlan
_SCHEMAS: Mapping[str, type[_Frozen]] = {
    "radiocard/feature-spec/1": FeatureSpec,
    "radiocard/model-recipe/1": ModelRecipe,
    "radiocard/rule/1": RuleSpec,
    "radiocard/reference/1": ReferenceSpec,
    "radiocard/pools/1": FeaturePools,
    "radiocard/evaluation/1": EvaluationPlan,
}
T = TypeVar("T", bound=_Frozen)


def shipped_folder(kind: Literal["feature_specs", "models"]) -> Path:
    """Return the folder of the files that come with radiocard, from a wheel or a checkout alike."""
    package = Path(str(resources.files("radiocard")))
    for folder in (package / "_shipped" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    msg = f"The shipped folder {kind!r} is missing from this installation."
    raise SpecError(msg, hint="Reinstall radiocard.")


def shipped_names(folder: Literal["feature_specs", "models"], kind: type[_Frozen] | None = None) -> list[str]:
    """Return the names of the shipped files of a folder, sorted; of one kind only where it is given."""
    found = sorted(shipped_folder(folder).rglob("*.yaml"))
    return [p.stem for p in found if kind is None or _SCHEMAS.get(str(_load_yaml(p).get("schema"))) is kind]


def read_spec(source: str | Path) -> FeatureSpec:
    """Read a feature specification by shipped name or by path.

    Parameters
    ----------
    source : str or Path
        A shipped name such as ``cine_sax``, or the path of a YAML file.

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


def read_as(kind: type[T], source: str | Path, folder: Literal["feature_specs", "models"]) -> T:
    """Read a specification of a given kind by shipped name or by path.

    Raises
    ------
    SpecError
        If there is no such file, or it holds another kind of specification.
    """
    path = _locate(source, folder, kind)
    data = _load_yaml(path)
    schema = data.get("schema")
    cls = _SCHEMAS.get(str(schema))
    if cls is None:
        known = ", ".join(sorted(_SCHEMAS))
        msg = f"{path.name}: 'schema' is {schema!r}, expected one of {known}."
        raise SpecError(msg)
    if cls is not kind:
        msg = f"{path.name} is a {schema}, expected a {kind.__name__}."
        raise SpecError(msg)
    return parse_as(kind, data, path.name)


def parse_as(kind: type[T], data: Mapping[str, Any], name: str) -> T:
    """Validate plain data as a specification; errors name the field and the nearest known one.

    Raises
    ------
    SpecError
        If a setting is unknown, missing or out of range.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"])
        hint = ""
        if first["type"] == "extra_forbidden":
            known = list(_setting_names(kind))
            close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known settings: {', '.join(known)}."
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        msg = f"{name}: {where}: {first['msg']}{more}."
        raise SpecError(msg, field=where, hint=hint) from None


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


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _setting_names(kind: type[BaseModel]) -> Iterator[str]:
    for name, info in kind.model_fields.items():
        yield info.alias or name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _setting_names(info.annotation)


def _locate(source: str | Path, folder: Literal["feature_specs", "models"], kind: type[_Frozen]) -> Path:
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
    what = "model recipe" if kind is ModelRecipe else "specification"
    msg = f"There is no shipped {what} {str(source)!r}."
    raise SpecError(msg, hint=hint)


def _load_yaml(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        msg = f"{path.name} has {size} bytes, expected at most {MAX_BYTES}."
        raise SpecError(msg)
    try:
        text = path.read_text(encoding="utf-8-sig")
        _refuse_unsafe(text, path.name)
        yaml = YAML(typ="safe", pure=True)
        yaml.version = (1, 2)
        data = yaml.load(text)
    except SpecError:
        raise
    except UnicodeDecodeError:
        msg = f"{path.name} is not UTF-8 text."
        raise SpecError(msg) from None
    except DuplicateKeyError as error:
        msg = f"{path.name}: {_line(error)}: a key occurs twice."
        raise SpecError(msg) from None
    except MarkedYAMLError as error:
        msg = f"{path.name}: {_line(error)}: {error.problem}."
        raise SpecError(msg) from None
    except (YAMLError, ValueError, RecursionError) as error:
        msg = f"{path.name} is not readable as YAML: {error}."
        raise SpecError(msg) from None
    if not isinstance(data, dict) or not all(isinstance(k, str) for k in data):
        msg = f"{path.name} does not hold a mapping of settings."
        raise SpecError(msg)
    return data


def _refuse_unsafe(text: str, name: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            msg = f"{name}: line {line}: settings are nested more than {MAX_DEPTH} deep."
            raise SpecError(msg)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            msg = f"{name}: line {line}: anchors and aliases are not allowed."
            raise SpecError(msg)
        if getattr(event, "tag", None) and not (isinstance(event, ScalarEvent) and event.style):
            msg = f"{name}: line {line}: tags are not allowed."
            raise SpecError(msg)


def _line(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}" if mark else "unknown line"
