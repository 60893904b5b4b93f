"""Settings that cannot work, or that nothing would read, are refused where the file is read."""

import subprocess
import sys

import pytest

from radiocard.errors import SpecError
from radiocard.specs import FeatureSpec, IvhSettings, parse_as, read_spec
from radiocard.specs.discretisation import Discretisation

PLAIN = {"method": "none", "within": "labelled"}
TEXTURE = {"aggregation": ["2d_avg"], "distances": [1], "weighting": "none", "coarseness": 0}
GRID = {"spacing_mm": [1, 1, 0], "interpolation": "linear", "mask_interpolation": "nearest", "round_grey": False}
LIMITS = {"range": [0, 10], "unit": "absolute", "outliers_sd": None, "shape": False}
NAMES = {"features": ["glcm_Contrast"], "voxel_array_shift": 0}
WAVELET = {"kind": "pyradiomics_wavelet", "wavelet": "coif1", "start_level": 0, "level": 1, "dimension": "3d"}
SUBBANDS = {
    "kind": "separable_wavelet",
    "wavelet": "db3",
    "level": 1,
    "subbands": ["LH"],
    "decimated": False,
    "rotation_invariant": False,
    "pooling": "max",
    "boundary": "mirror",
}
LBP = {"kind": "lbp_2d", "radius": 1, "samples": 8, "method": "uniform"}


def read(**settings):
    data = read_spec("cine_sax").settings() | {"name": "t", "description": "t"}
    return parse_as(FeatureSpec, data | settings, "t.yaml")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"families": ["ivh"]}, "t.yaml: families: ivh needs the section ivh"),
        ({"ivh": {"method": "none"}, "normalisation": PLAIN}, "t.yaml: ivh: nothing reads this section"),
        ({"families": ["ivh"], "ivh": {"method": "none"}}, "ivh.method: none .* with normalisation zscore"),
        (
            {"families": ["ivh"], "ivh": {"method": "none"}, "normalisation": PLAIN, "filters": [{"kind": "square"}]},
            "ivh.method: none .* with the filters square",
        ),
        ({"families": []}, "families: Tuple should have at least 1 item"),
        ({"families": ["glcm", "intensity", "glcm"]}, "families: more than once: glcm"),
        ({"phases": []}, "phases: the cardiac measurements need ed, es"),
        ({"phases": ["ed", "es", "ed"]}, "phases: more than once: ed"),
        ({"regions": []}, "regions: the cardiac measurements need lv_cavity"),
        ({"regions": ["lv_cavity", "lv_myocardium", "rv_cavity", "rv_cavity"]}, "regions: more than once: rv_cavity"),
        ({"normalisation": PLAIN | {"scale": 100}}, "normalisation: method 'none' takes neither 'scale'"),
        ({"normalisation": PLAIN | {"outliers_sd": 3}}, "normalisation: method 'none' takes .* nor 'outliers_sd'"),
        (
            {"discretisation": {"method": "fbn", "bins": 8, "max_bins": 65537}},
            "max_bins: .* less than or equal to 65536",
        ),
        ({"texture": TEXTURE | {"aggregation": ["2d_avg", "2d_avg"]}}, "texture.aggregation: more than once: 2d_avg"),
        ({"texture": TEXTURE | {"distances": [1, 2, 1]}}, "texture.distances: more than once: 1"),
        ({"texture": TEXTURE | {"distances": [16]}}, "texture.distances.* less than or equal to 15"),
        ({"texture": TEXTURE | {"coarseness": 0.5}}, "texture.coarseness: Input should be a multiple of 1"),
        ({"texture": TEXTURE | {"weighting": "euclidean"}}, "texture: 'weighting' is euclidean, which needs an 'aggr"),
        ({"resegmentation": LIMITS | {"range": [5, 5]}}, "resegmentation.range: the lower bound is 5, expected less"),
        ({"resegmentation": LIMITS | {"range": [5, 4]}}, "resegmentation.range: .* the upper bound 4"),
        ({"resegmentation": LIMITS | {"range": [None, None]}}, "resegmentation.range: one of its two bounds"),
        ({"resegmentation": LIMITS | {"range": None}}, "resegmentation: it has neither range nor outliers_sd"),
        ({"resampling": GRID | {"pad_distance": 5}}, "resampling.pad_distance: convention ibsi resamples the whole"),
        ({"resampling": GRID | {"round_grey": True}}, "resampling.round_grey: true would round what normalisation zsc"),
        (
            {"resampling": GRID | {"mask_interpolation": "linear"}, "convention": "pyradiomics"},
            "resampling.mask_interpolation: convention pyradiomics has nearest only, not linear",
        ),
        (
            {"pyradiomics": NAMES | {"features": ["glcm_Contrst"]}},
            "pyradiomics.features: .*did you mean 'glcm_Contrast'",
        ),
        ({"pyradiomics": NAMES | {"features": ["x"]}}, "pyradiomics.features: PyRadiomics has no feature 'x'\\. \\["),
        ({"pyradiomics": NAMES | {"features": ["glcm_Id"] * 2}}, "pyradiomics.features: more than once: glcm_Id"),
        (
            {"filters": [WAVELET | {"wavelet": "coif99"}]},
            "filters.0.wavelet: PyWavelets has no discrete wavelet 'coif99'",
        ),
        (
            {"filters": [{"kind": "square"}, SUBBANDS | {"wavelet": "morl"}]},
            "filters.1.wavelet: .* no discrete wavelet",
        ),
        (
            {"filters": [LBP | {"samples": 25, "method": "ror"}]},
            "filters.0.samples: 25, expected at most 24 with method",
        ),
        ({"filters": [LBP | {"samples": 25, "method": "default"}]}, "filters.0.samples: 25, .* method default"),
    ],
)
def test_what_cannot_work_is_refused_by_name(settings, match):
    with pytest.raises(SpecError, match=match):
        read(**settings)


def test_all_contradictions_are_told_at_once_and_the_first_is_the_field():
    with pytest.raises(SpecError, match="families: ivh needs .*; resampling.pad_distance: ") as error:
        read(families=["ivh"], resampling=GRID | {"pad_distance": 5})
    assert error.value.issue.field == "families"


@pytest.mark.parametrize(
    "settings",
    [
        {"families": ["ivh"], "ivh": {"method": "none"}, "normalisation": PLAIN},
        {"families": ["ivh"], "ivh": {"method": "fbn", "bins": 100}, "filters": [{"kind": "square"}]},
        {"texture": TEXTURE | {"aggregation": ["2d_avg", "2d_comb"], "weighting": "euclidean", "coarseness": 2}},
        {"resegmentation": LIMITS | {"range": [None, 4]}},
        {"resegmentation": LIMITS | {"range": None, "outliers_sd": 3}},
        {"resampling": GRID | {"mask_interpolation": "linear", "round_grey": True}, "normalisation": PLAIN},
        {"resampling": GRID | {"pad_distance": 5}, "convention": "pyradiomics"},
        {"filters": [WAVELET, SUBBANDS, LBP | {"samples": 25}]},
        {"discretisation": {"method": "fbn", "bins": 8, "max_bins": 65536}},
        {"pyradiomics": NAMES | {"features": ["gldm_DependencePercentage"]}, "convention": "pyradiomics"},
    ],
)
def test_what_works_is_read_and_survives_being_written(settings):
    spec = read(**settings)
    assert read(**spec.settings()).hash == spec.hash


@pytest.mark.parametrize(
    ("width", "tag"),
    [
        (25, "fbs25"),
        (2.5, "fbs2p5"),
        (1e-05, "fbs0p00001"),
        (0.1, "fbs0p1"),
        (1234567.25, "fbs1234567p25"),
        (1e22, "fbs1" + "0" * 22),
        (100, "fbs100"),
    ],
)
def test_tags_write_the_width_exactly(width, tag):
    assert Discretisation(method="fbs", width=width, max_bins=8).tag == tag
    assert IvhSettings(method="fbs", width=width).tag == tag


def test_pywavelets_is_loaded_only_for_a_wavelet():
    code = "import sys; from radiocard.specs import read_spec; read_spec('cine_sax'); print('pywt' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


# --- maps


def read_map_spec(without=(), **settings):
    data = {k: v for k, v in read_spec("t1_map").settings().items() if k not in without}
    return parse_as(FeatureSpec, data | {"name": "t", "description": "t"} | settings, "t.yaml")


PHYSIOLOGY = read_spec("cine_sax").settings()["checks"]
MAPS = read_spec("t1_map").settings()["maps"]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"phases": ["ed"]}, "t.yaml: phases: t1_native is taken once and has no phase; leave them out"),
        ({"maps": None}, "maps: sequence t1_native needs this section"),
        ({"maps": MAPS | {"sequences": ["ecv"]}}, "maps.sequences: t1_native is not among them"),
        ({"sequence": "t2"}, "maps.sequences: t2 is not among them"),
        ({"sequence": "t1"}, "sequence: Input should be 'cine', 't1_native'"),
        ({"regions": ["lv_cavity"]}, "regions: .* needs? lv_myocardium"),
        ({"checks": PHYSIOLOGY}, "checks.physiology: nothing reads this section with sequence t1_native"),
        ({"maps": MAPS | {"erosion_endo_pct": 50}}, "maps.erosion_endo_pct: Input should be less than 50"),
        ({"maps": MAPS | {"erosion": 10}}, "erosion"),
    ],
)
def test_a_map_specification_that_cannot_work_is_refused_by_name(settings, match):
    with pytest.raises(SpecError, match=match):
        read_map_spec(**settings)


def test_a_cine_specification_takes_no_maps_and_needs_its_physiology():
    with pytest.raises(SpecError, match="maps: nothing reads this section with sequence cine; leave it out"):
        read(maps=MAPS)
    with pytest.raises(SpecError, match="checks.physiology: a cine study needs this section"):
        read(checks={"grid_tolerance_voxel": 0.001, "component_min_voxels": 1})


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("cine_sax", (("cine", "ed"), ("cine", "es"))),
        ("t1_map", (("t1_native", ""),)),
        ("t2_map", (("t2", ""),)),
        ("ecv_map", (("ecv", ""),)),
    ],
)
def test_keys_are_sequence_and_phase(name, keys):
    assert read_spec(name).keys == keys


@pytest.mark.parametrize("name", ["t1_map", "t2_map", "ecv_map"])
def test_a_shipped_map_specification_survives_being_written(name):
    spec = read_spec(name)
    again = parse_as(FeatureSpec, spec.settings() | {"name": "n", "description": "d"}, "t.yaml")
    assert again.hash == spec.hash


def test_margins_of_the_wall_change_the_hash():
    assert read_map_spec(maps=MAPS | {"erosion_endo_pct": 20}).hash != read_map_spec().hash
    assert (
        read_map_spec(checks=read_map_spec().settings()["checks"] | {"component_min_voxels": 9}).hash
        == read_map_spec().hash
    )
