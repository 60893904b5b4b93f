"""How images became features, in the words and order in which the IBSI asks to report it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from radiocard.cardiac.map_dictionary import MAP_NAMES
from radiocard.report.schema_checklist import SettingGroup, SettingRow
from radiocard.specs import Discretisation, FeatureSpec
from radiocard.specs.filters import Filter

NOTE = (
    "Settings from the feature specification, in the order of the reporting guideline of the Image Biomarker "
    "Standardisation Initiative (Zwanenburg et al., arXiv:1612.07003). Acquisition, reconstruction and who drew the "
    "regions are for the author to add."
)
COMPLIANT = (
    "Checked against the reference values of the IBSI, part 1 (Zwanenburg et al., Radiology 295 (2020) 328, "
    "doi:10.1148/radiol.2020191145); the compliance table is reports/validation/ibsi.md of radiocard, "
    "'radiocard ibsi-check' makes it again. This run did not repeat the check."
)
OWN_DEFINITIONS = "Definitions of PyRadiomics, some of which differ from those of the IBSI."
SEQUENCES: Mapping[str, str] = MappingProxyType({**MAP_NAMES, "cine": "Cine", "lge": "Late gadolinium enhancement"})
_INTERPOLATION = MappingProxyType({"nearest": "nearest neighbour", "linear": "linear", "bspline": "cubic B-spline"})
_AGGREGATION = MappingProxyType(
    {
        "2d_avg": "2D, averaged over slices and directions",
        "2d_comb": "2D, directions merged within a slice",
        "2_5d_avg": "2.5D, slices merged by direction, then averaged",
        "2_5d_comb": "2.5D, all slices and directions merged",
        "3d_avg": "3D, averaged over directions",
        "3d_comb": "3D, directions merged",
    }
)


def processing_groups(spec: FeatureSpec, *, name: str, digest: str, made_with: str) -> list[SettingGroup]:
    """List the settings of a feature specification for a reader.

    Parameters
    ----------
    spec : FeatureSpec
        Settings that made the table.
    name, digest : str
        Name of the specification, and its SHA-256.
    made_with : str
        Version of radiocard that extracted the table.

    Returns
    -------
    list of SettingGroup
    """
    phases = ", ".join({"ed": "end-diastole", "es": "end-systole"}[p] for p in spec.phases)
    lost = "the largest component only" if spec.roi.keep_largest else "all components"
    groups: dict[str, dict[str, str]] = {
        "Images and regions": {
            "Images": f"{SEQUENCES[spec.sequence]}{f' ({phases})' if phases else ''}",
            "Regions": f"{', '.join(spec.regions)}, from masks given with the images",
            "Region size": f"at least {spec.roi.min_voxels} voxels; {lost}",
            **measured(spec),
        },
        "Image processing": {
            "Normalisation": normalisation(spec),
            "Interpolation of the image": resampling(spec),
            "Interpolation of the regions": mask_resampling(spec),
            "Re-segmentation": resegmentation(spec),
            "Filters": filters(spec),
        },
        "Discretisation": {
            "Texture and histogram": discretisation(spec.discretisation),
            "Intensity-volume histogram": _ivh(spec),
        },
        "Features": {
            "Families": ", ".join(spec.families),
            "Aggregation": "; ".join(_AGGREGATION[a] for a in spec.texture.aggregation),
            "Distance": f"{', '.join(map(str, spec.texture.distances))} voxel (Chebyshev norm)",
            "Distance weights": spec.texture.weighting,
            "Dependence coarseness": f"{spec.texture.coarseness:g}",
        },
        "Software": {
            "Software": software(spec, made_with=made_with),
            "Compliance": compliance(spec) or "PyRadiomics computed the values: cite its own statement of compliance.",
            "Specification": f"{name}, SHA-256 {digest}",
        },
    }
    return [
        SettingGroup(title=title, rows=[SettingRow(topic=t, setting=s) for t, s in rows.items()])
        for title, rows in groups.items()
    ]


def measured(spec: FeatureSpec) -> dict[str, str]:
    """Say what decides the values that are measured in maps and in scar."""
    if spec.maps is not None:
        inner, outer = spec.maps.erosion_endo_pct, spec.maps.erosion_epi_pct
        return {"Borders": f"inner {inner:g} % and outer {outer:g} % of the wall left out"}
    if spec.scar is not None:
        n_sd = spec.scar.n_sd
        return {"Scar": f"as drawn, else by '{spec.scar.method}' with {n_sd:g} standard deviations above remote"}
    return {}


def normalisation(spec: FeatureSpec) -> str:
    """Say how grey values were normalised."""
    used = spec.normalisation
    if used.method == "none":
        return "none"
    where = "all labelled regions" if used.within == "labelled" else "the whole image"
    clipped = f", clipped to {used.outliers_sd:g} standard deviations" if used.outliers_sd else ""
    scaled = f", times {used.scale:g}" if used.scale != 1 else ""
    return f"mean subtracted, divided by the standard deviation, both over {where}{clipped}{scaled}"


def resampling(spec: FeatureSpec) -> str:
    """Say how the image was resampled."""
    used = spec.resampling
    if used is None:
        return "none; features on the grid of the image"
    axes = " x ".join("as acquired" if s == 0 else f"{s:g} mm" for s in used.spacing_mm)
    rounded = "grey values rounded to whole numbers" if used.round_grey else "grey values not rounded"
    return f"{_INTERPOLATION[used.interpolation]} to {axes}; {rounded}"


def mask_resampling(spec: FeatureSpec) -> str:
    """Say how the regions were resampled."""
    if spec.resampling is None:
        return "none"
    kind = spec.resampling.mask_interpolation
    return "linear, at least half of the voxel covered" if kind == "linear" else "nearest neighbour"


def resegmentation(spec: FeatureSpec) -> str:
    """Say which voxels of a region were left out by their grey value."""
    used, parts = spec.resegmentation, []
    if used is None:
        return "none"
    if used.range is not None:
        low, high = ("no bound" if b is None else f"{b:g}" for b in used.range)
        parts.append(f"grey values from {low} to {high} ({used.unit})")
    if used.outliers_sd:
        parts.append(f"within {used.outliers_sd:g} standard deviations of the region's mean")
    return "; ".join(parts) + (", for shape as well" if used.shape else "")


def discretisation(used: Discretisation) -> str:
    """Say how grey values were put into bins."""
    return f"fixed bin number, {used.bins} bins" if used.method == "fbn" else f"fixed bin size, width {used.width:g}"


def filters(spec: FeatureSpec) -> str:
    """Name the images that features come from, with the settings of each filter."""
    return "; ".join(_filter(used) for used in spec.filters)


def software(spec: FeatureSpec, *, made_with: str) -> str:
    """Name the software and the definitions that made the features."""
    what = "IBSI" if spec.convention == "ibsi" else "PyRadiomics"
    if spec.engine == "native":
        return f"radiocard {made_with}, own engine, {what} definitions"
    return f"PyRadiomics through radiocard {made_with}; the table does not hold the version of PyRadiomics"


def compliance(spec: FeatureSpec) -> str | None:
    """Say how the software stands to the IBSI; None where radiocard cannot know."""
    if spec.engine != "native":
        return None
    return COMPLIANT if spec.convention == "ibsi" else OWN_DEFINITIONS


def _filter(used: Filter) -> str:
    shown = used.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())
    return f"{used.kind.replace('_', ' ')}{f' ({settings})' if settings else ''}"


def _ivh(spec: FeatureSpec) -> str:
    if spec.ivh is None:
        return "not computed"
    if spec.ivh.method == "none":
        return "each grey value a level of its own"
    return f"{spec.ivh.bins} bins" if spec.ivh.method == "fbn" else f"bins of width {spec.ivh.width:g}"
