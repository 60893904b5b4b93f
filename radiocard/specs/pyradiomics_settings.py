"""What a parameter file of PyRadiomics 3 [1]_ may hold: classes, features, settings and their defaults.

References
----------
.. [1] https://pyradiomics.readthedocs.io/en/v3.0.1/customization.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from radiocard.specs.base import Count, Distance, Frozen, NotNegative, Positive

SECTIONS = ("imageType", "featureClass", "setting", "voxelSetting")

# Features by class; the deprecated ones, which have to be asked for by name, come after the bar.
_FEATURES = {
    "firstorder": (
        "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum MeanAbsoluteDeviation Mean "
        "Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy Uniformity Variance "
        "| StandardDeviation"
    ),
    "shape": (
        "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
        "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
        "SurfaceVolumeRatio VoxelVolume | Compactness1 Compactness2 SphericalDisproportion"
    ),
    "shape2D": (
        "Elongation MajorAxisLength MaximumDiameter MeshSurface MinorAxisLength Perimeter PerimeterSurfaceRatio "
        "PixelSurface Sphericity | SphericalDisproportion"
    ),
    "glcm": (
        "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
        "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
        "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares "
        "| Dissimilarity Homogeneity1 Homogeneity2 SumVariance"
    ),
    "glrlm": (
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
        "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy "
        "RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance ShortRunEmphasis "
        "ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis |"
    ),
    "glszm": (
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
        "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis "
        "SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
        "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance |"
    ),
    "ngtdm": "Busyness Coarseness Complexity Contrast Strength |",
    "gldm": (
        "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
        "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
        "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
        "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis "
        "| DependencePercentage GrayLevelNonUniformityNormalized"
    ),
}
FEATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(text.partition("|")[0].split()) for name, text in _FEATURES.items()}
)
DEPRECATED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(text.partition("|")[2].split()) for name, text in _FEATURES.items()}
)
# Settings of each image type that belong to its filter; a bin size may be set per image type too.
IMAGE_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Original": (),
        "LoG": ("sigma",),
        "Wavelet": ("wavelet", "start_level", "level"),
        "Square": (),
        "SquareRoot": (),
        "Logarithm": (),
        "Exponential": (),
        "Gradient": ("gradientUseSpacing",),
        "LBP2D": ("lbp2DRadius", "lbp2DSamples", "lbp2DMethod"),
        "LBP3D": ("lbp3DLevels", "lbp3DIcosphereRadius", "lbp3DIcosphereSubdivision"),
    }
)


class Settings(Frozen):
    """All settings of PyRadiomics 3 with its defaults; a number in quotes is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, alias_generator=to_camel)

    min_dimensions: Annotated[int, Field(ge=1, le=3, alias="minimumROIDimensions")] = 2
    min_size: Annotated[Count | None, Field(alias="minimumROISize")] = None
    geometry_tolerance: Positive | None = None
    correct_mask: bool = False
    additional_info: bool = True
    label: Count = 1
    label_channel: Annotated[int, Field(ge=0, alias="label_channel")] = 0
    bin_width: Positive = 25.0
    bin_count: Count | None = None
    normalize: bool = False
    normalize_scale: Positive = 1.0
    remove_outliers: Positive | None = None
    resampled_pixel_spacing: Annotated[list[NotNegative], Field(min_length=3, max_length=3)] | None = None
    interpolator: str | int | None = "sitkBSpline"
    pad_distance: Annotated[int, Field(ge=0)] = 5
    distances: Annotated[list[Distance], Field(min_length=1, default_factory=lambda: [1])]
    force_2d: Annotated[bool, Field(alias="force2D")] = False
    force_2d_dimension: Annotated[int, Field(ge=0, le=2, alias="force2Ddimension")] = 0
    resegment_range: Annotated[list[float], Field(min_length=1, max_length=2)] | None = None
    resegment_mode: Literal["absolute", "relative", "sigma"] = "absolute"
    resegment_shape: bool = False
    pre_crop: bool = False
    sigma: list[int | float] | None = None
    start_level: Annotated[int, Field(ge=0, alias="start_level")] = 0
    level: Count = 1
    wavelet: str = "coif1"
    gradient_use_spacing: bool = True
    lbp_2d_radius: Annotated[float, Field(gt=0, alias="lbp2DRadius")] = 1.0
    lbp_2d_samples: Annotated[int, Field(ge=1, alias="lbp2DSamples")] = 8
    lbp_2d_method: Annotated[Literal["default", "ror", "uniform", "var"], Field(alias="lbp2DMethod")] = "uniform"
    lbp_3d_levels: Annotated[int, Field(ge=1, alias="lbp3DLevels")] = 2
    lbp_3d_radius: Annotated[float, Field(gt=0, alias="lbp3DIcosphereRadius")] = 1.0
    lbp_3d_subdivision: Annotated[int, Field(ge=0, alias="lbp3DIcosphereSubdivision")] = 1
    voxel_array_shift: int = 0
    symmetrical: Annotated[bool, Field(alias="symmetricalGLCM")] = True
    weighting_norm: Literal["manhattan", "euclidean", "infinity", "no_weighting"] | None = None
    coarseness: Annotated[int, Field(ge=0, alias="gldm_a")] = 0


class ParameterFile(Frozen):
    """The sections of a parameter file."""

    image_type: Annotated[dict[str, Settings], Field(alias="imageType", default_factory=dict)]
    feature_class: Annotated[dict[str, list[str] | None], Field(alias="featureClass", default_factory=dict)]
    setting: Settings = Settings()


def alias_of(field: str) -> str:
    """Return PyRadiomics' name of a setting."""
    return Settings.model_fields[field].alias or field
