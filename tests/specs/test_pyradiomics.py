import numpy as np
import pytest

from radiocard.errors import MaskError, SpecError
from radiocard.features.catalogue import BY_PYRADIOMICS, FEATURES
from radiocard.features.extract import extract_region
from radiocard.features.registry import image_tags, texture_tags
from radiocard.image import Image
from radiocard.specs import parse_as, read_as, read_spec
from radiocard.specs.features import FeatureSpec
from radiocard.specs.models import ModelRecipe
from radiocard.specs.pyradiomics_settings import DEPRECATED
from radiocard.specs.pyradiomics_settings import FEATURES as NAMES

# The settings that PyRadiomics recommends for MR with thin slices, in its own words.
MR = """
# comments are allowed
imageType:
  Original: {}
  LoG:
    sigma: [2.0, 3.0]  # mm
  Wavelet: {}
featureClass:
  shape:
  firstorder:
  glcm:
    - 'Contrast'
    - 'Id'
  glrlm: []
  gldm:
setting:
  normalize: true
  normalizeScale: 100
  interpolator: 'sitkBSpline'
  resampledPixelSpacing: [2, 2, 2]
  binWidth: 5
  voxelArrayShift: 300
  label: 1
"""
# The same for thick slices: no resampling, slices one by one, cropped in advance.
MR_2D = """
imageType: {Original: {}, LoG: {sigma: [1.0, 3.0]}, Wavelet: {}}
setting: {normalize: true, normalizeScale: 100, preCrop: true, force2D: true, force2Ddimension: 0, binWidth: 5}
"""


def read(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return read_spec(path)


def test_a_parameter_file_is_read_as_it_is(tmp_path):
    spec = read(tmp_path, MR)
    base = read_spec("cine_sax")
    assert (spec.name, spec.convention, spec.engine) == ("params", "pyradiomics", "native")
    assert (spec.regions, spec.phases, spec.cardiac, spec.checks) == (
        base.regions,
        base.phases,
        base.cardiac,
        base.checks,
    )
    assert spec.normalisation.model_dump() == {
        "method": "zscore",
        "within": "image",
        "scale": 100,
        "outliers_sd": None,
    }
    assert spec.discretisation.tag == "fbs5"
    assert spec.texture.aggregation == ("3d_avg",)
    assert spec.resampling is not None
    assert spec.resampling.model_dump() == {
        "spacing_mm": (2, 2, 2),
        "interpolation": "bspline",
        "mask_interpolation": "nearest",
        "round_grey": False,
        "pad_distance": 5,
    }
    assert spec.pyradiomics is not None
    assert spec.pyradiomics.voxel_array_shift == 300
    by_image = image_tags(spec)
    assert len(by_image) == 1 + 2 + 8
    assert len(by_image["original"]) == 14 + 18 + 2 + 16 + 14
    assert len(by_image["wavelet-HHH"]) == 18 + 2 + 16 + 14
    assert {"original_shape_MeshVolume", "log-sigma-2-0-mm-3D_glcm_Id"} <= set(texture_tags(spec))


def test_thick_slices(tmp_path):
    spec = read(tmp_path, MR_2D)
    assert spec.texture.aggregation == ("2_5d_avg",)
    assert spec.resampling is not None
    assert spec.resampling.spacing_mm == (0, 0, 0)
    assert spec.filters[2].names == ("wavelet-LH", "wavelet-HL", "wavelet-HH", "wavelet-LL")
    assert "original_shape2D_Perimeter" in texture_tags(spec)
    assert "original_shape_MeshVolume" in texture_tags(spec)


def test_defaults_are_those_of_pyradiomics(tmp_path):
    spec = read(tmp_path, "setting: {}")
    assert [f.kind for f in spec.filters] == ["original"]
    assert spec.discretisation.tag == "fbs25"
    assert spec.normalisation.method == "none"
    assert (spec.resampling, spec.resegmentation, spec.ivh) == (None, None, None)
    texture = {"aggregation": ("3d_avg",), "distances": (1,), "weighting": "none", "coarseness": 0}
    assert spec.texture.model_dump() == texture
    assert spec.roi.min_voxels == 2
    assert spec.pyradiomics is not None
    assert len(spec.pyradiomics.features) == 107  # all classes but planar shape
    assert spec.pyradiomics.min_dimensions == 2
    assert read(tmp_path, "imageType: {}").hash == read(tmp_path, "featureClass: {}").hash == spec.hash


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("setting: {binCount: 32, binWidth: 5}", "discretisation.tag", "fbn32"),
        ("setting: {weightingNorm: null}", "texture.aggregation", ("3d_avg",)),
        ("setting: {weightingNorm: no_weighting}", "texture.aggregation", ("3d_comb",)),
        ("setting: {weightingNorm: no_weighting}", "texture.weighting", "none"),
        ("setting: {weightingNorm: infinity, force2D: true}", "texture.aggregation", ("2_5d_comb",)),
        ("setting: {weightingNorm: infinity}", "texture.weighting", "infinity"),
        ("setting: {distances: [1, 2], gldm_a: 1}", "texture.distances", (1, 2)),
        ("setting: {distances: [1, 2], gldm_a: 1}", "texture.coarseness", 1),
        ("setting: {normalize: true, removeOutliers: 3}", "normalisation.outliers_sd", 3),
        ("setting: {normalizeScale: 3}", "normalisation.method", "none"),
        ("setting: {resampledPixelSpacing: [2, 2, 0], interpolator: 2}", "resampling.interpolation", "linear"),
        ("setting: {resampledPixelSpacing: [2, 2, 0], padDistance: 9}", "resampling.pad_distance", 9),
        ("setting: {resampledPixelSpacing: [2, 2, 0], interpolator: null}", "resampling", None),
        ("setting: {resampledPixelSpacing: null}", "resampling", None),
        ("setting: {preCrop: true, padDistance: 7}", "resampling.pad_distance", 7),
        ("setting: {resegmentRange: [100, 50]}", "resegmentation.range", (50, 100)),
        ("setting: {resegmentRange: [50]}", "resegmentation.range", (50, None)),
        ("setting: {resegmentRange: [-3, 3], resegmentMode: sigma}", "resegmentation.unit", "sigma"),
        ("setting: {resegmentRange: [0, 3], resegmentShape: true}", "resegmentation.shape", True),
        ("setting: {minimumROISize: 50}", "roi.min_voxels", 51),  # PyRadiomics refuses a region of that size
        ("setting: {minimumROIDimensions: 3}", "pyradiomics.min_dimensions", 3),
        ("setting: {additionalInfo: false, label: 1, symmetricalGLCM: true, correctMask: false}", "resampling", None),
    ],
)
def test_settings_are_honoured(tmp_path, text, field, value):
    found = read(tmp_path, text)
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value


def test_an_image_type_may_have_its_own_bins_and_filter_settings(tmp_path):
    text = "imageType: {Original: {}, Wavelet: {binWidth: 10, wavelet: haar}, LoG: {}}\nsetting: {sigma: [1, 2.5]}"
    original, wavelet, log = read(tmp_path, text).filters
    assert original.discretisation is None
    assert wavelet.discretisation is not None
    assert wavelet.discretisation.tag == "fbs10"
    assert wavelet.wavelet == "haar"
    assert log.names == ("log-sigma-1-mm-3D", "log-sigma-2-5-mm-3D")
    counted = read(tmp_path, "imageType: {Wavelet: {binWidth: 10}}\nsetting: {binCount: 16}")
    assert counted.filters[0].discretisation is None  # a number of bins wins


def test_every_filter_is_translated(tmp_path):
    text = (
        "imageType: {Square: {}, SquareRoot: {}, Logarithm: {}, Exponential: {}, Gradient: {gradientUseSpacing: false},"
        " LBP2D: {lbp2DSamples: 9}}"
    )
    spec = read(tmp_path, text)
    names = [name for used in spec.filters for name in used.names]
    assert names == ["square", "squareroot", "logarithm", "exponential", "gradient", "lbp-2D"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("imageType: {LBP3D: {}}", r"radiocard cannot honour imageType.LBP3D \(local binary .*use LBP2D"),
        ("imageType: {LBP3D: {lbp3DLevels: 3}}", "radiocard cannot honour imageType.LBP3D"),
        ("setting: {binWdith: 5}", r"setting.binWdith: Extra inputs.*Did you mean 'binWidth'\?"),
        ("imageType: {Original: {binWdith: 5}}", "Did you mean 'binWidth'"),
        ("setting: {force2DDimension: 0}", "Did you mean 'force2Ddimension'"),
        ("setting: {binWidth: '5'}", "setting.binWidth: Input should be a valid number"),
        ("setting: {binWidth: null}", "setting.binWidth: Input should be a valid number"),
        ("setting: {binWidth: 0}", "setting.binWidth: Input should be greater than 0"),
        ("setting: {normalize: yes}", "setting.normalize: Input should be a valid boolean"),
        ("setting: {label: true}", "setting.label: Input should be a valid integer"),
        ("setting: {distances: [16]}", "setting.distances.* less than or equal to 15"),
        ("setting: {distances: []}", "setting.distances: List should have at least 1 item"),
        ("setting: {resampledPixelSpacing: [2, 2]}", "List should have at least 3 items"),
        ("setting: {resegmentRange: [1, 2, 3]}", "List should have at most 2 items"),
        ("setting: {weightingNorm: chebyshev}", "setting.weightingNorm"),
        ("setting:", "setting: Input should be a valid dictionary"),
        ("imageType:", "imageType: Input should be a valid dictionary"),
        ("featureClass: {glcm: Contrast}", "featureClass.glcm: Input should be a valid list"),
        ("featureClass: {glcm: [Contrst]}", "there is no feature 'Contrst'.*Did you mean 'Contrast'"),
        ("featureClass: {glcms: []}", "featureClass.glcms: there is no such feature class.*Did you mean 'glcm'"),
        ("featureClass: {shape2D: []}", "planar shape only with force2D: true"),
        ("imageType: {wavelet: {}}", "imageType.wavelet: there is no such image type.*Did you mean 'Wavelet'"),
        ("imageType: {LoG: {}}", "imageType.LoG .it needs sigma"),
        ("imageType: {LoG: {sigma: [0]}}", "every sigma must be above 0"),
        ("imageType: {Wavelet: {wavelet: haarr}}", "wavelet: haarr .PyWavelets has no discrete wavelet"),
        ("imageType: {Wavelet: {distances: [2]}}", "imageType.Wavelet.distances: .2. .only bin sizes"),
        ("inputImage: {Original: {}}\nsetting: {}", "inputImage: there is no such section.*imageType"),
        ("voxelSetting: {kernelRadius: 1}", "cannot honour the section voxelSetting"),
        ("setting: {label: 2}", "cannot honour setting.label: 2 .regions have names here"),
        ("setting: {label_channel: 1}", "cannot honour setting.label_channel: 1"),
        ("setting: {force2Ddimension: 2}", "cannot honour setting.force2Ddimension: 2"),
        ("setting: {symmetricalGLCM: false}", "cannot honour setting.symmetricalGLCM: false"),
        ("setting: {correctMask: true}", "cannot honour setting.correctMask: true"),
        ("setting: {geometryTolerance: 0.1}", "cannot honour setting.geometryTolerance: 0.1"),
        ("setting: {interpolator: sitkGaussian}", "cannot honour setting.interpolator: sitkGaussian"),
        ("setting: {label: 2, symmetricalGLCM: false}", "setting.label: 2 .*; setting.symmetricalGLCM: false"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(tmp_path, text, match):
    with pytest.raises(SpecError, match=match):
        read(tmp_path, text)


def test_a_region_of_too_few_voxels_or_axes_is_refused_as_pyradiomics_does(tmp_path):
    image = Image(np.random.default_rng(0).normal(100, 30, (8, 8, 4)), np.eye(4))
    line = np.zeros(image.array.shape, dtype=bool)
    line[2, 1:7, 2] = True
    with pytest.raises(MaskError, match="more than one voxel along 1 axes, expected at least 2"):
        extract_region(image, line, read(tmp_path, "setting: {}"))
    assert extract_region(image, line, read(tmp_path, "setting: {minimumROIDimensions: 1, minimumROISize: 5}"))
    with pytest.raises(MaskError, match="has 6 voxels, expected at least 7"):
        extract_region(image, line, read(tmp_path, "setting: {minimumROIDimensions: 1, minimumROISize: 6}"))


def test_a_parameter_file_is_no_model_recipe(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(MR, encoding="utf-8")
    with pytest.raises(SpecError, match="'schema' is None, expected one of"):
        read_as(ModelRecipe, path, "models")


def test_the_specification_survives_being_written(tmp_path):
    spec = read(tmp_path, MR)
    again = parse_as(FeatureSpec, spec.settings() | {"name": "x", "description": "x"}, "again")
    assert again.hash == spec.hash
    assert texture_tags(again) == texture_tags(spec)


def test_every_feature_of_pyradiomics_has_a_counterpart():
    listed = {f"{c}_{name}" for c in NAMES for name in (*NAMES[c], *DEPRECATED[c])}
    assert listed == set(BY_PYRADIOMICS)
    deprecated = {f.pyradiomics_deprecated for f in FEATURES.values() if f.pyradiomics_deprecated}
    assert deprecated == {f"{c}_{name}" for c in NAMES for name in DEPRECATED[c]}
