"""Specification of feature extraction: every setting that decides columns and their values."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from radiocard.specs.base import Count, Distance, Distinct, Frozen, Interval, NotNegative, Positive, digest, number_text
from radiocard.specs.contradictions import contradictions
from radiocard.specs.discretisation import Discretisation
from radiocard.specs.filters import Filter, Original
from radiocard.specs.lge import ScarSettings
from radiocard.specs.maps import MapSettings
from radiocard.specs.pyradiomics_settings import DEPRECATED, FEATURES

Aggregation = Literal["2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb"]
Convention = Literal["ibsi", "pyradiomics"]
Family = Literal[
    "shape_3d",
    "shape_2d",
    "local_intensity",
    "intensity",
    "histogram",
    "ivh",
    "glcm",
    "glrlm",
    "glszm",
    "gldzm",
    "ngtdm",
    "ngldm",
]
Region = Literal["lv_cavity", "lv_myocardium", "rv_cavity"]
PhaseName = Literal["ed", "es"]
Sequence = Literal["cine", "t1_native", "t1_post", "t2", "t2_star", "ecv", "lge"]


class Normalisation(Frozen):
    """Intensity normalisation before feature extraction.

    ``zscore`` subtracts the mean and divides by the standard deviation of the voxels of
    all labelled regions (``labelled``), or of the whole image (``image``); values are then
    clipped to ``outliers_sd`` and multiplied by ``scale``.
    """

    method: Literal["none", "zscore"]
    within: Literal["labelled", "image"]
    scale: Positive = 1.0
    outliers_sd: Positive | None = None

    @model_validator(mode="after")
    def _all_used(self) -> Normalisation:
        if self.method == "none" and (self.scale != 1 or self.outliers_sd is not None):
            msg = "method 'none' takes neither 'scale' nor 'outliers_sd'"
            raise ValueError(msg)
        return self


class Resampling(Frozen):
    """Resampling to another voxel grid, before everything else but normalisation.

    ``spacing_mm`` is given along ``i, j, k``; 0 keeps an axis as it is, so that ``[2, 2, 0]``
    resamples in the slice plane. Voxels of the mask are those with a partial volume of at
    least one half (``linear``), or of their nearest neighbour. ``round_grey`` rounds grey
    values to whole numbers afterwards, as calibrated units such as HU and ms need.
    ``pad_distance`` is PyRadiomics' margin around the region [voxel] and has no meaning
    under ``ibsi``, which resamples the whole image.
    """

    spacing_mm: tuple[NotNegative, NotNegative, NotNegative]
    interpolation: Literal["nearest", "linear", "bspline"]
    mask_interpolation: Literal["nearest", "linear"]
    round_grey: bool
    pad_distance: Annotated[int, Field(ge=0)] | None = None


class Resegmentation(Frozen):
    """Which voxels of a region count for intensity and texture.

    ``range`` keeps grey values from the lower to the upper bound; a bound may be null. Its
    ``unit`` is that of the grey values after normalisation (``absolute``), the region's maximum
    (``relative``) or standard deviations from the region's mean (``sigma``). ``outliers_sd`` then
    drops what lies further from the mean of the region. ``shape`` applies the result to shape as
    well.
    """

    range: tuple[float | None, float | None] | None
    unit: Literal["absolute", "relative", "sigma"]
    outliers_sd: Positive | None
    shape: bool

    @field_validator("range")
    @classmethod
    def _not_empty(cls, value: tuple[float | None, float | None] | None) -> tuple[float | None, float | None] | None:
        if value is None:
            return value
        lower, upper = value
        if lower is None and upper is None:
            msg = "one of its two bounds must be a number; without a range write null"
            raise ValueError(msg)
        if lower is not None and upper is not None and lower >= upper:
            msg = f"the lower bound is {lower:g}, expected less than the upper bound {upper:g}"
            raise ValueError(msg)
        return value


class IvhSettings(Frozen):
    """How intensities are discretised for the intensity-volume histogram, if at all.

    ``none`` takes each grey value as a level of its own (whole numbers only), ``fbs`` bins of
    ``width``, ``fbn`` a number of ``bins``.
    """

    method: Literal["none", "fbs", "fbn"]
    bins: Count | None = None
    width: Positive | None = None

    @model_validator(mode="after")
    def _one_of(self) -> IvhSettings:
        if (self.method == "fbn") != (self.bins is not None) or (self.method == "fbs") != (self.width is not None):
            msg = "fbn takes 'bins', fbs takes 'width', none takes neither"
            raise ValueError(msg)
        return self

    @property
    def tag(self) -> str:
        """Column suffix, for example ``fbs2p5``; empty without discretisation."""
        if self.method == "none":
            return ""
        return f"fbn{self.bins}" if self.method == "fbn" else f"fbs{number_text(self.width or 0)}"


class TextureSettings(Frozen):
    """Texture matrices: IBSI aggregation methods, distances [voxel] and weights.

    ``2d_avg`` and ``2d_comb`` are one method (2D) for the zone and neighbourhood matrices,
    which have no direction; so are the 2.5D pair and the 3D pair. Under ``ibsi`` one
    co-occurrence matrix is made per Chebyshev distance in ``distances``, and neighbourhoods reach
    as far as the largest, 15 voxels at most; under ``pyradiomics`` all distances enter one set of directions.
    ``weighting`` weighs directions by the length d of an offset in this norm before they are merged
    (``*_comb``): by exp(-d^2), d in voxels under ``ibsi`` and in mm under ``pyradiomics``, which
    weighs run lengths by d itself. ``coarseness`` is the greatest difference of grey level that still counts as
    dependent (IBSI alpha, PyRadiomics ``gldm_a``), a whole number as grey levels are.
    """

    aggregation: Annotated[tuple[Aggregation, ...], Field(min_length=1), Distinct]
    distances: Annotated[tuple[Distance, ...], Field(min_length=1), Distinct]
    weighting: Literal["none", "manhattan", "euclidean", "infinity"]
    coarseness: Annotated[NotNegative, Field(multiple_of=1)]

    @model_validator(mode="after")
    def _has_directions_to_weigh(self) -> TextureSettings:
        if self.weighting != "none" and not any(name.endswith("_comb") for name in self.aggregation):
            msg = f"'weighting' is {self.weighting}, which needs an 'aggregation' that merges directions (*_comb)"
            raise ValueError(msg)
        return self


class PyradiomicsNames(Frozen):
    """What only a PyRadiomics parameter file says: which features, and their names.

    ``features`` holds full names without filter, such as ``glcm_Contrast``. ``voxel_array_shift``
    is added to grey values before energy and root mean square. A region must extend over more than
    one voxel along ``min_dimensions`` axes.
    """

    features: Annotated[tuple[str, ...], Field(min_length=1), Distinct]
    voxel_array_shift: float
    min_dimensions: Annotated[int, Field(ge=1, le=3)] = 2

    @field_validator("features")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = [f"{group}_{name}" for group in FEATURES for name in (*FEATURES[group], *DEPRECATED[group])]
        for feature in value:
            if feature not in known:
                close = difflib.get_close_matches(feature, known, n=1)
                msg = f"PyRadiomics has no feature {feature!r}" + (f"; did you mean {close[0]!r}?" if close else "")
                raise ValueError(msg)
        return value


class RoiSettings(Frozen):
    """What a region must be to be described."""

    min_voxels: Count
    keep_largest: bool


class CardiacSettings(Frozen):
    """Conventions of the cardiac measurements."""

    bsa_formula: Literal["mosteller", "dubois"]
    myocardial_density_g_ml: Positive
    papillary: Literal["cavity", "myocardium"]
    reference: str | None


class Physiology(Frozen):
    """What the measurements of a cine study are compared with."""

    stroke_volume_difference_pct: Positive
    lvef_pct: Interval
    rvef_pct: Interval
    lvedv_ml: Interval
    rvedv_ml: Interval
    lvm_g: Interval
    wall_thickness_mm: Interval


class CheckSettings(Frozen):
    """Limits of the input checks; they flag, they never change a value."""

    grid_tolerance_voxel: Positive
    component_min_voxels: Count
    physiology: Physiology | None = None


class FeatureSpec(Frozen):
    """Everything that decides the columns of a table and their values."""

    schema_: Literal["radiocard/feature-spec/1"] = Field(alias="schema")
    name: str
    description: str
    engine: Literal["native", "pyradiomics"]
    convention: Convention
    sequence: Sequence
    phases: Annotated[tuple[PhaseName, ...], Distinct] = ()
    regions: Annotated[tuple[Region, ...], Distinct]
    normalisation: Normalisation
    discretisation: Discretisation
    families: Annotated[tuple[Family, ...], Field(min_length=1), Distinct]
    texture: TextureSettings
    resampling: Resampling | None = None
    resegmentation: Resegmentation | None = None
    filters: Annotated[tuple[Filter, ...], Field(min_length=1)] = (Original(kind="original"),)
    ivh: IvhSettings | None = None
    pyradiomics: PyradiomicsNames | None = None
    maps: MapSettings | None = None
    scar: ScarSettings | None = None
    roi: RoiSettings
    cardiac: CardiacSettings
    checks: CheckSettings

    @model_validator(mode="after")
    def _distinct_images(self) -> FeatureSpec:
        names = [name.lower().replace(".", "-") for used in self.filters for name in used.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"filters: more than one gives an image named {', '.join(twice)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> FeatureSpec:
        found = list(contradictions(self))
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Sequence and phase of each image that texture is described in; a map has no phase."""
        return tuple((self.sequence, phase) for phase in self.phases or ("",))

    @property
    def hash(self) -> str:
        """SHA-256 of every setting that changes a value (name, description, limits and normal values do not)."""
        settings = {k: v for k, v in self.settings().items() if k != "checks"}
        if settings["maps"] is not None:
            settings["maps"] = {k: v for k, v in settings["maps"].items() if k != "reference"}
        return digest(settings)

    def settings(self) -> dict[str, Any]:
        """Return all settings as plain data, without name and description."""
        return self.model_dump(mode="json", by_alias=True, exclude={"name", "description"})
