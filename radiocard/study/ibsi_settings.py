"""The five configurations of the IBSI [1]_ for its chest CT, and its digital phantom, as specifications.

References
----------
.. [1] Zwanenburg et al., Radiology 295 (2020), doi:10.1148/radiol.2020191145
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from radiocard.features.catalogue import FEATURES
from radiocard.features.registry import MATRICES, aggregations, full_tags, texture_suffix
from radiocard.specs import Family, FeatureSpec, parse_as, read_spec

_FAMILIES = tuple(family for family in get_args(Family) if family != "shape_2d")
_PLANAR = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb")
_SPATIAL = ("3d_avg", "3d_comb")
_NO_IVH: Mapping[str, Any] = MappingProxyType({"method": "none"})


@dataclass(frozen=True)
class Configuration:
    """One configuration of the reference sheets.

    Parameters
    ----------
    name : str
        As the sheets write it, for example ``configuration A``.
    phantom : {'digital_phantom', 'ct_phantom'}
        Data that it is made for.
    sheet : str
        File name of its reference values.
    settings : str
        Settings in words.
    spec : FeatureSpec
        The same as a specification.
    """

    name: str
    phantom: str
    sheet: str
    settings: str
    spec: FeatureSpec

    @property
    def tags(self) -> dict[str, str]:
        """Tag of the sheet (``cm_joint_max_3D_avg``) to the key of the extracted value."""
        spec = self.spec
        out: dict[str, str] = {}
        for feature in FEATURES.values():
            if feature.family not in spec.families or feature.convention != "both":
                continue
            if feature.family not in MATRICES:
                out[feature.tag] = full_tags(feature, spec)[0]
                continue
            for aggregation in aggregations(feature.family, spec):
                key = feature.tag + texture_suffix(feature.family, aggregation, 1, spec)
                out[f"{feature.tag}_{aggregation.replace('d', 'D', 1)}"] = key
        return out


def configurations() -> tuple[Configuration, ...]:
    """Return the digital phantom and configurations A to E, in this order."""
    ivh_width, ivh_bins = {"method": "fbs", "width": 2.5}, {"method": "fbn", "bins": 1000}
    return (
        Configuration(
            "digital phantom",
            "digital_phantom",
            "digital_phantom.csv",
            "no interpolation, no re-segmentation, grey values taken as levels",
            _spec(_fbs(1), aggregation=_PLANAR + _SPATIAL),
        ),
        _chest(
            "A",
            "2D, no interpolation, range [-500, 400] HU, fixed bin size 25 HU",
            _spec(_fbs(25), aggregation=_PLANAR, bounds=(-500, 400)),
        ),
        _chest(
            "B",
            "2D, bilinear to 2 x 2 mm, range [-500, 400] HU, 32 bins",
            _spec(_fbn(32), aggregation=_PLANAR, bounds=(-500, 400), spacing=(2, 2, 0)),
        ),
        _chest(
            "C",
            "3D, trilinear to 2 x 2 x 2 mm, range [-1000, 400] HU, fixed bin size 25 HU (volume histogram 2.5 HU)",
            _spec(_fbs(25), aggregation=_SPATIAL, bounds=(-1000, 400), spacing=(2, 2, 2), ivh=ivh_width),
        ),
        _chest(
            "D",
            "3D, trilinear to 2 x 2 x 2 mm, outliers beyond 3 standard deviations excluded, 32 bins",
            _spec(_fbn(32), aggregation=_SPATIAL, spacing=(2, 2, 2), outliers=3),
        ),
        _chest(
            "E",
            "3D, cubic spline to 2 x 2 x 2 mm, range [-1000, 400] HU and outliers beyond 3 standard deviations "
            "excluded, 32 bins (volume histogram 1000 bins)",
            _spec(
                _fbn(32),
                aggregation=_SPATIAL,
                bounds=(-1000, 400),
                spacing=(2, 2, 2),
                spline=True,
                outliers=3,
                ivh=ivh_bins,
            ),
        ),
    )


def _chest(letter: str, settings: str, spec: FeatureSpec) -> Configuration:
    return Configuration(f"configuration {letter}", "ct_phantom", f"config_{letter}.csv", settings, spec)


def _fbs(width: float) -> dict[str, Any]:
    return {"method": "fbs", "width": width, "max_bins": 1024}


def _fbn(bins: int) -> dict[str, Any]:
    return {"method": "fbn", "bins": bins, "max_bins": 1024}


def _spec(
    discretisation: Mapping[str, Any],
    *,
    aggregation: tuple[str, ...],
    bounds: tuple[float, float] | None = None,
    outliers: float | None = None,
    spacing: tuple[float, float, float] | None = None,
    spline: bool = False,
    ivh: Mapping[str, Any] = _NO_IVH,
) -> FeatureSpec:
    """Build a specification on the IBSI's image processing: masks by partial volume, whole grey values."""
    resampling = spacing and {
        "spacing_mm": spacing,
        "interpolation": "bspline" if spline else "linear",
        "mask_interpolation": "linear",
        "round_grey": True,
    }
    limits = {"range": bounds, "unit": "absolute", "outliers_sd": outliers, "shape": False}
    own = {
        "name": "ibsi",
        "description": "IBSI-1",
        "normalisation": {"method": "none", "within": "labelled"},
        "discretisation": discretisation,
        "families": _FAMILIES,
        "texture": {"aggregation": aggregation, "distances": [1], "weighting": "none", "coarseness": 0},
        "resampling": resampling,
        "resegmentation": None if bounds is None and outliers is None else limits,
        "ivh": ivh,
        "roi": {"min_voxels": 1, "keep_largest": False},
    }
    return parse_as(FeatureSpec, read_spec("cine_sax").settings() | own, "ibsi")
