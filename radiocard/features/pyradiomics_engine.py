"""The same specification, run through PyRadiomics 3 (optional extra).

PyRadiomics' feature classes are called on the cropped and prepared region, so that both
engines see the same voxels. Only features with the same definition are returned, under the
same tags; settings that PyRadiomics cannot honour are refused by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MissingExtraError, SpecError
from radiocard.features.catalogue import Feature
from radiocard.features.intensity import Values
from radiocard.features.native import TEXTURE
from radiocard.features.region import Spacing
from radiocard.features.registry import ORIGINAL, SHAPE, full_tags, wanted_features
from radiocard.features.shape_2d import largest_slices
from radiocard.features.views import View
from radiocard.preprocessing.discretise import discretise
from radiocard.specs import FeatureSpec

_HONOURED = frozenset({"2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"})
_LACKED = ("local_intensity", "ivh", "gldzm")
_CLASSES = {
    "shape": ("shape", "RadiomicsShape"),
    "firstorder": ("firstorder", "RadiomicsFirstOrder"),
    "glcm": ("glcm", "RadiomicsGLCM"),
    "glrlm": ("glrlm", "RadiomicsGLRLM"),
    "glszm": ("glszm", "RadiomicsGLSZM"),
    "ngtdm": ("ngtdm", "RadiomicsNGTDM"),
    "gldm": ("gldm", "RadiomicsGLDM"),
}
# What PyRadiomics fills in for a region with one grey value; radiocard calls it undefined.
_UNDEFINED_WHEN_FLAT = frozenset({"stat_skew", "stat_kurt", "cm_corr", "cm_info_corr1", "cm_mcc"})


def refuse_unsupported(spec: FeatureSpec) -> None:
    """Refuse a specification that PyRadiomics cannot honour, naming each setting.

    Parameters
    ----------
    spec : FeatureSpec
        With ``engine: pyradiomics``.

    Raises
    ------
    SpecError
        If the convention is not PyRadiomics' own, or a family or an aggregation is unknown to it.
    """
    reasons = []
    if spec.convention != "pyradiomics":
        edges = " (bin edges of fbs start at 0, not at the region's minimum)"
        reasons.append(f"convention: {spec.convention}{edges if spec.discretisation.method == 'fbs' else ''}")
    reasons += [f"families: {family}" for family in _LACKED if family in spec.families]
    if not set(TEXTURE).isdisjoint(spec.families):
        reasons += [f"texture.aggregation: {a}" for a in spec.texture.aggregation if a not in _HONOURED]
    if reasons:
        msg = f"PyRadiomics cannot honour {'; '.join(reasons)}."
        hint = f"Use engine: native, or convention: pyradiomics with aggregations {', '.join(sorted(_HONOURED))}."
        raise SpecError(msg, field=reasons[0].partition(":")[0], hint=hint)


def features(view: View, spec: FeatureSpec) -> Values:
    """Compute the features of one region with PyRadiomics.

    Parameters
    ----------
    view : View
        The region in one filtered image, cropped to its bounding box.
    spec : FeatureSpec
        With ``engine: pyradiomics``.

    Returns
    -------
    dict of str to float or None
        Tag to value, for the features that PyRadiomics defines in the same way.

    Raises
    ------
    SpecError
        See :func:`refuse_unsupported`.
    MissingExtraError
        If PyRadiomics is not installed.
    IntensityError
        If discretisation would need more bins than the cap (``E_BINS``).
    """
    refuse_unsupported(spec)
    _require()
    region = view.region
    inside = region.values[region.intensity_mask]
    discretise(inside, view.discretisation, convention="pyradiomics")  # its caps hold for both engines
    by_class: dict[str, list[Feature]] = {}
    for feature in wanted_features(spec).values():
        if feature.pyradiomics_computed:
            by_class.setdefault(feature.pyradiomics_computed.partition("_")[0], []).append(feature)
    asked = any(view.image_name in used.names for used in spec.filters)
    out: Values = {}
    for name, wanted in by_class.items():
        is_shape = wanted[0].family in SHAPE
        if (view.image_name != ORIGINAL) if is_shape else not asked:
            continue
        out |= _shape_2d(wanted, view, spec) if name == "shape2D" else _class(name, wanted, view, spec)
    if np.ptp(inside) == 0:
        out = {tag: None if tag.startswith(tuple(_UNDEFINED_WHEN_FLAT)) else value for tag, value in out.items()}
    return out


def _require() -> None:
    try:
        radiomics = import_module("radiomics")
    except ImportError:
        msg = "The specification asks for engine: pyradiomics, and PyRadiomics is not installed."
        hint = "Install the extra: pip install 'radiocard[pyradiomics]' (Python 3.11, needs a C compiler)."
        raise MissingExtraError(msg, field="engine", hint=hint) from None
    radiomics.setVerbosity(50)  # it repeats for every region that its sum average is redundant


def _class(name: str, wanted: list[Feature], view: View, spec: FeatureSpec) -> Values:
    """One class of PyRadiomics, once per aggregation that has tags of its own."""
    out: Values = {}
    region = view.region
    mask = region.mask if name == "shape" else region.intensity_mask
    image, label = _to_itk(region.values, region.spacing), _to_itk(mask, region.spacing)
    for aggregation in spec.texture.aggregation:
        single = spec.model_copy(update={"texture": spec.texture.model_copy(update={"aggregation": (aggregation,)})})
        tags = {f.tag: full_tags(f, single, view.discretisation)[0] for f in wanted}
        if all(full in out for full in tags.values()):
            continue
        found: Values = dict.fromkeys(tags)
        if _has_pairs(name, mask, single):
            found = _run(*_CLASSES[name], wanted, image, label, _settings(aggregation, view, spec))
        out |= {tags[tag]: value for tag, value in found.items()}
    return out


def _has_pairs(name: str, mask: NDArray[np.bool_], spec: FeatureSpec) -> bool:
    """PyRadiomics raises where no direction of a matrix fits into the box of the region."""
    if name != "glcm":
        return True
    flat = spec.texture.aggregation[0].startswith("2_5d")
    sides = mask.shape[:2] if flat else mask.shape
    return max(sides) > min(spec.texture.distances)


def _run(module: str, name: str, wanted: list[Feature], image: Any, mask: Any, settings: dict[str, Any]) -> Values:
    calculator = getattr(import_module(f"radiomics.{module}"), name)(image, mask, **settings)
    names = {feature.tag: str(feature.pyradiomics_computed).partition("_")[2] for feature in wanted}
    for feature_name in names.values():
        calculator.enableFeatureByName(feature_name)
    found = calculator.execute()
    return {tag: _number(found[feature_name]) for tag, feature_name in names.items()}


def _settings(aggregation: str, view: View, spec: FeatureSpec) -> dict[str, Any]:
    texture, bins = spec.texture, view.discretisation
    settings: dict[str, Any] = {"binCount": bins.bins} if bins.method == "fbn" else {"binWidth": bins.width}
    settings |= {"distances": list(texture.distances), "force2D": aggregation.startswith("2_5d")}
    settings |= {"gldm_a": texture.coarseness, "label": 1}
    if spec.pyradiomics is not None:
        settings["voxelArrayShift"] = spec.pyradiomics.voxel_array_shift
    if aggregation.endswith("comb"):
        settings["weightingNorm"] = "no_weighting" if texture.weighting == "none" else texture.weighting
    return settings


def _shape_2d(wanted: list[Feature], view: View, spec: FeatureSpec) -> Values:
    rows = []
    settings = _settings("2_5d_avg", view, spec)
    for k in largest_slices(view.region.mask):
        mask = _to_itk(view.region.mask[:, :, k : k + 1], view.region.spacing)
        rows.append(_run("shape2D", "RadiomicsShape2D", wanted, mask, mask, settings))
    defined = {f.tag: [v for row in rows if (v := row[f.tag]) is not None] for f in wanted}
    return {tag: sum(v) / len(v) if v else None for tag, v in defined.items()}


def _to_itk(array: NDArray[Any], spacing: Spacing) -> Any:
    sitk = import_module("SimpleITK")
    data = array.astype(np.uint8) if array.dtype == bool else array
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(spacing)
    return image


def _number(value: Any) -> float | None:
    number = float(np.real(value))
    return number if np.isfinite(number) else None
