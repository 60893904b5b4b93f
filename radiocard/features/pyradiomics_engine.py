"""The same specification, run through PyRadiomics 3 (optional extra).

PyRadiomics' feature classes are called on the cropped and normalised region, so that both
engines see the same voxels. Only features with the same definition are returned, under the
same tags; settings that PyRadiomics cannot honour are refused by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import MissingExtraError, SpecError
from radiocard.features.glcm import directions
from radiocard.features.intensity import Values
from radiocard.features.region import Region
from radiocard.features.registry import FEATURES, Feature, glcm_tag
from radiocard.features.shape_2d import largest_slices
from radiocard.preprocessing.discretise import discretise
from radiocard.specs import FeatureSpec

_HONOURED = frozenset({"2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"})
# What PyRadiomics fills in for a region with one grey value; radiocard calls it undefined.
_UNDEFINED_WHEN_FLAT = frozenset({"stat_skew", "stat_kurt", "cm_corr", "cm_info_corr1"})


def refuse_unsupported(spec: FeatureSpec) -> None:
    """Refuse a specification that PyRadiomics cannot honour, naming each setting.

    Parameters
    ----------
    spec : FeatureSpec
        With ``engine: pyradiomics``.

    Raises
    ------
    SpecError
        If the convention is not PyRadiomics' own, or an aggregation is per slice.
    """
    reasons = []
    if spec.convention != "pyradiomics":
        edges = " (bin edges of fbs start at 0, not at the region's minimum)"
        reasons.append(f"convention: {spec.convention}{edges if spec.discretisation.method == 'fbs' else ''}")
    if "glcm" in spec.families:
        reasons += [f"glcm.aggregation: {a}" for a in spec.glcm.aggregation if a not in _HONOURED]
    if reasons:
        msg = f"PyRadiomics cannot honour {'; '.join(reasons)}."
        hint = f"Use engine: native, or convention: pyradiomics with aggregations {', '.join(sorted(_HONOURED))}."
        raise SpecError(msg, field=reasons[0].partition(":")[0], hint=hint)


def features(region: Region, spec: FeatureSpec) -> Values:
    """Compute the features of one region with PyRadiomics.

    Parameters
    ----------
    region : Region
        The region, cropped to its bounding box.
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
    inside = region.values[region.mask]
    discretise(inside, spec.discretisation, convention="pyradiomics")  # its caps hold for both engines
    image, mask = _to_itk(region.values, region), _to_itk(region.mask, region)
    out: Values = {}
    for family in spec.families:
        wanted = [f for f in FEATURES.values() if f.family == family and f.pyradiomics]
        if family == "glcm":
            out |= _glcm(wanted, image, mask, region, spec)
        elif family == "shape_2d":
            out |= _shape_2d(wanted, region)
        else:
            module, name = (
                ("shape", "RadiomicsShape") if family == "shape_3d" else ("firstorder", "RadiomicsFirstOrder")
            )
            found = _run(module, name, wanted, image, mask, _bins(spec))
            suffix = f"_{spec.discretisation.tag}" if family == "histogram" else ""
            out |= {f"{tag}{suffix}": value for tag, value in found.items()}
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
    radiomics.setVerbosity(40)  # it repeats for every region that its sum average is redundant


def _run(module: str, name: str, wanted: list[Feature], image: Any, mask: Any, settings: dict[str, Any]) -> Values:
    calculator = getattr(import_module(f"radiomics.{module}"), name)(image, mask, **settings)
    for feature in wanted:
        calculator.enableFeatureByName(feature.pyradiomics)
    found = calculator.execute()
    return {f.tag: _number(found[f.pyradiomics]) for f in wanted}


def _glcm(wanted: list[Feature], image: Any, mask: Any, region: Region, spec: FeatureSpec) -> Values:
    out: Values = {}
    for aggregation in spec.glcm.aggregation:
        found: Values = dict.fromkeys(f.tag for f in wanted)
        offsets = directions(spec.glcm.distance, in_plane=aggregation.startswith("2_5d"))
        if any(np.all(np.abs(offset) < region.mask.shape) for offset in offsets):  # else PyRadiomics raises
            found = _run("glcm", "RadiomicsGLCM", wanted, image, mask, _glcm_settings(aggregation, spec))
        out |= {glcm_tag(tag, aggregation, spec): value for tag, value in found.items()}
    return out


def _glcm_settings(aggregation: str, spec: FeatureSpec) -> dict[str, Any]:
    settings = _bins(spec) | {"distances": [spec.glcm.distance], "force2D": aggregation.startswith("2_5d")}
    return settings | ({"weightingNorm": "no_weighting"} if aggregation.endswith("comb") else {})


def _shape_2d(wanted: list[Feature], region: Region) -> Values:
    rows = []
    for k in largest_slices(region.mask):
        mask = _to_itk(region.mask[:, :, k : k + 1], region)
        rows.append(_run("shape2D", "RadiomicsShape2D", wanted, mask, mask, {"force2D": True}))
    defined = {f.tag: [v for row in rows if (v := row[f.tag]) is not None] for f in wanted}
    return {tag: sum(v) / len(v) if v else None for tag, v in defined.items()}


def _bins(spec: FeatureSpec) -> dict[str, Any]:
    settings = spec.discretisation
    return {"binCount": settings.bins} if settings.method == "fbn" else {"binWidth": settings.width}


def _to_itk(array: NDArray[Any], region: Region) -> Any:
    sitk = import_module("SimpleITK")
    data = array.astype(np.uint8) if array.dtype == bool else array
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(region.spacing)
    return image


def _number(value: Any) -> float | None:
    number = float(np.real(value))
    return number if np.isfinite(number) else None
