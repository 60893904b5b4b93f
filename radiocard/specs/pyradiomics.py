"""Parameter files of PyRadiomics 3, read as they are.

A parameter file says how voxels are processed and which features are wanted. What it does not
say (regions, phases, cardiac measurements, checks) is taken from the shipped specification. A
setting that cannot be honoured is refused by name; none is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from radiocard.errors import SpecError
from radiocard.specs.contradictions import is_wavelet
from radiocard.specs.pyradiomics_settings import (
    DEPRECATED,
    FEATURES,
    IMAGE_TYPES,
    SECTIONS,
    ParameterFile,
    Settings,
    alias_of,
)
from radiocard.specs.validate import nearest, parse_as

_FAMILIES = {
    "firstorder": "intensity",
    "shape": "shape_3d",
    "shape2D": "shape_2d",
    "glcm": "glcm",
    "glrlm": "glrlm",
    "glszm": "glszm",
    "ngtdm": "ngtdm",
    "gldm": "ngldm",
}
_OF_HISTOGRAM = frozenset({"firstorder_Entropy", "firstorder_Uniformity"})
_INTERPOLATIONS: Mapping[str | int, str] = {
    "sitkNearestNeighbor": "nearest",
    "sitkLinear": "linear",
    "sitkBSpline": "bspline",
    1: "nearest",
    2: "linear",
    3: "bspline",
}
# Setting, the only value that is honoured, and why and what to do.
_FIXED: tuple[tuple[str, Any, str], ...] = (
    ("label", 1, "regions have names here; say which number is which region in the manifest of the cohort"),
    ("label_channel", 0, "masks have one number per voxel here; store each region as a number of its own"),
    ("force_2d_dimension", 0, "the slice plane is that of the stored slices here; store the image by its slices"),
    ("symmetrical", True, "co-occurrence is symmetric here, as in Haralick's and the IBSI's definition"),
    ("correct_mask", False, "masks that are not on the image grid are refused here; resample the mask beforehand"),
    ("geometry_tolerance", None, "the tolerance is a share of a voxel here: checks.grid_tolerance_voxel"),
)


def is_parameter_file(data: Mapping[str, Any]) -> bool:
    """Return whether settings are those of a PyRadiomics parameter file."""
    return "schema" not in data and any(section in data for section in SECTIONS)


def from_parameters(data: Mapping[str, Any], *, base: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Translate a PyRadiomics parameter file into the settings of a feature specification.

    Parameters
    ----------
    data : mapping
        Sections ``imageType``, ``featureClass`` and ``setting``.
    base : mapping
        Settings of a specification, for regions, phases, cardiac measurements and checks.
    name : str
        Name of the file, for the specification and for messages.

    Returns
    -------
    dict
        Settings of a :class:`radiocard.specs.FeatureSpec` with ``convention: pyradiomics``, the
        native engine and PyRadiomics' names.

    Raises
    ------
    SpecError
        If a section, a setting, an image type, a class or a feature is unknown, of the wrong type
        or not to be honoured.
    """
    for section in data:
        if section not in SECTIONS:
            msg = f"{name}: {section}: there is no such section."
            raise SpecError(msg, field=section, hint=nearest(section, SECTIONS, what="sections"))
    if "voxelSetting" in data:
        msg = f"{name}: radiocard cannot honour the section voxelSetting."
        hint = "Drop the section, and give its kernelRadius as radius to radiocard.feature_maps."
        raise SpecError(msg, field="voxelSetting", hint=hint)
    file = parse_as(ParameterFile, data, name)
    _refuse(file, name)
    setting = file.setting
    features = _features(file, name)
    planar = "2_5d" if setting.force_2d else "3d"
    weighting = setting.weighting_norm
    return {
        **base,
        "name": name,
        "description": f"PyRadiomics parameter file {name}.",
        "engine": "native",
        "convention": "pyradiomics",
        "normalisation": _normalisation(setting),
        "discretisation": _discretisation(setting, base),
        "families": _families(features),
        "texture": {
            "aggregation": [f"{planar}_{'avg' if weighting is None else 'comb'}"],
            "distances": setting.distances,
            "weighting": "none" if weighting in {None, "no_weighting"} else weighting,
            "coarseness": setting.coarseness,
        },
        "resampling": _resampling(setting),
        "resegmentation": _resegmentation(setting),
        "filters": [_filter(image, own, setting, base) for image, own in _images(file).items()],
        "ivh": None,
        "pyradiomics": {
            "features": features,
            "voxel_array_shift": setting.voxel_array_shift,
            "min_dimensions": setting.min_dimensions,
        },
        "roi": {"min_voxels": (setting.min_size or 1) + 1, "keep_largest": False},
    }


def _images(file: ParameterFile) -> dict[str, Settings]:
    return file.image_type or {"Original": Settings()}


def _refuse(file: ParameterFile, name: str) -> None:
    """Refuse what cannot be honoured, all of it in one message."""
    for image in file.image_type:
        if image not in IMAGE_TYPES:
            msg = f"{name}: imageType.{image}: there is no such image type."
            raise SpecError(msg, field=f"imageType.{image}", hint=nearest(image, IMAGE_TYPES, what="image types"))
    reasons = [*_refused_settings(file.setting), *_refused_images(file)]
    if reasons:
        fields = [field for field, _ in reasons]
        msg = f"{name}: radiocard cannot honour {'; '.join(f'{field} ({why})' for field, why in reasons)}."
        raise SpecError(msg, field=fields[0].partition(":")[0], hint="Change or drop what is named.")


def _refused_settings(setting: Settings) -> Iterator[tuple[str, str]]:
    for field, honoured, why in _FIXED:
        value = getattr(setting, field)
        if value != honoured:
            yield f"setting.{alias_of(field)}: {_yaml(value)}", why
    if setting.interpolator is not None and setting.interpolator not in _INTERPOLATIONS:
        known = ", ".join(str(key) for key in _INTERPOLATIONS)
        yield f"setting.interpolator: {setting.interpolator}", f"interpolators here: {known}"


def _refused_images(file: ParameterFile) -> Iterator[tuple[str, str]]:
    for image, own in file.image_type.items():
        for field in sorted(own.model_fields_set):
            if alias_of(field) not in {"binWidth", "binCount", *IMAGE_TYPES[image]}:
                why = "only bin sizes and the filter's own settings differ between images here; move it to setting"
                yield f"imageType.{image}.{alias_of(field)}: {_yaml(getattr(own, field))}", why
        merged = _merged(own, file.setting)
        if image == "LBP3D":
            yield "imageType.LBP3D", "local binary patterns are computed in the slice plane only; use LBP2D"
        if image == "LoG" and not merged.sigma:
            yield "imageType.LoG", "it needs sigma, a list of scales in mm; without one PyRadiomics gives no feature"
        if image == "Wavelet" and not is_wavelet(merged.wavelet):
            yield f"imageType.Wavelet, wavelet: {merged.wavelet}", "PyWavelets has no discrete wavelet of that name"


def _features(file: ParameterFile, name: str) -> list[str]:
    """Return the full names (``glcm_Contrast``) of what is asked for."""
    planar = file.setting.force_2d
    classes = file.feature_class or {c: None for c in FEATURES if planar or c != "shape2D"}
    out: list[str] = []
    for class_name, wanted in classes.items():
        field = f"featureClass.{class_name}"
        if class_name not in FEATURES:
            msg = f"{name}: {field}: there is no such feature class."
            raise SpecError(msg, field=field, hint=nearest(class_name, FEATURES, what="classes"))
        if class_name == "shape2D" and not planar:
            msg = f"{name}: {field}: PyRadiomics gives planar shape only with force2D: true."
            raise SpecError(msg, field=field, hint="Set force2D: true, or drop the class.")
        known = (*FEATURES[class_name], *DEPRECATED[class_name])
        for feature in wanted or FEATURES[class_name]:
            if feature not in known:
                msg = f"{name}: {field}: there is no feature {feature!r}."
                raise SpecError(msg, field=field, hint=nearest(feature, known, what="features"))
            out.append(f"{class_name}_{feature}")
    return list(dict.fromkeys(out))


def _families(features: list[str]) -> list[str]:
    found = ["histogram" if f in _OF_HISTOGRAM else _FAMILIES[f.partition("_")[0]] for f in features]
    return list(dict.fromkeys(found))


def _normalisation(setting: Settings) -> dict[str, Any]:
    if not setting.normalize:
        return {"method": "none", "within": "image"}
    scale, outliers = setting.normalize_scale, setting.remove_outliers
    return {"method": "zscore", "within": "image", "scale": scale, "outliers_sd": outliers}


def _discretisation(setting: Settings, base: Mapping[str, Any]) -> dict[str, Any]:
    """Let a number of bins win over their width, as PyRadiomics does."""
    most = base["discretisation"]["max_bins"]
    if setting.bin_count is not None:
        return {"method": "fbn", "bins": setting.bin_count, "max_bins": most}
    return {"method": "fbs", "width": setting.bin_width, "max_bins": most}


def _resampling(setting: Settings) -> dict[str, Any] | None:
    """Take cropping in advance as resampling to the same spacing, which crops alike in PyRadiomics."""
    spacing = setting.resampled_pixel_spacing
    if spacing is None or setting.interpolator is None:
        if not setting.pre_crop:
            return None
        spacing = [0.0, 0.0, 0.0]
    return {
        "spacing_mm": spacing,
        "interpolation": _INTERPOLATIONS[setting.interpolator or "sitkBSpline"],
        "mask_interpolation": "nearest",
        "round_grey": False,
        "pad_distance": setting.pad_distance,
    }


def _resegmentation(setting: Settings) -> dict[str, Any] | None:
    bounds = setting.resegment_range
    if bounds is None:
        return None
    lower, upper = sorted(bounds) if len(bounds) == 2 else (bounds[0], None)
    unit, shape = setting.resegment_mode, setting.resegment_shape
    return {"range": [lower, upper], "unit": unit, "outliers_sd": None, "shape": shape}


def _filter(image: str, own: Settings, setting: Settings, base: Mapping[str, Any]) -> dict[str, Any]:
    merged = _merged(own, setting)
    bins = _discretisation(merged, base)
    out = _filter_settings(image, merged)
    return out if bins == _discretisation(setting, base) else out | {"discretisation": bins}


def _filter_settings(image: str, merged: Settings) -> dict[str, Any]:
    """Return the settings of the filter itself."""
    if image == "LoG":
        return {"kind": "pyradiomics_log", "sigma_mm": merged.sigma}
    if image == "Wavelet":
        dimension = "2d" if merged.force_2d else "3d"
        levels = {"start_level": merged.start_level, "level": merged.level}
        return {"kind": "pyradiomics_wavelet", "wavelet": merged.wavelet, "dimension": dimension, **levels}
    if image == "Gradient":
        return {"kind": "gradient", "use_spacing": merged.gradient_use_spacing}
    if image == "LBP2D":
        radius, samples = merged.lbp_2d_radius, merged.lbp_2d_samples
        return {"kind": "lbp_2d", "radius": radius, "samples": samples, "method": merged.lbp_2d_method}
    return {"kind": image.lower()}


def _merged(own: Settings, setting: Settings) -> Settings:
    """Put the settings of one image type over those of all."""
    return setting.model_copy(update={field: getattr(own, field) for field in own.model_fields_set})


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
