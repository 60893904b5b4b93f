import pytest

from radiocard.features.registry import (
    FEATURES,
    ColumnInfo,
    describe_texture_column,
    full_tags,
    image_tags,
    texture_column,
    texture_suffix,
    texture_tags,
)
from radiocard.specs import Discretisation, FeatureSpec, IvhSettings, PyradiomicsNames, parse_as, read_spec

SPEC = read_spec("cine_sax")
EVERY = ("shape_3d", "shape_2d", "local_intensity", "intensity", "histogram", "ivh")
MATRICES = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")


def change(spec=SPEC, **update):
    texture = update.pop("texture", None)
    data = spec.settings() | {"name": "x", "description": "x"} | update
    if texture:
        data["texture"] = data["texture"] | texture
    return parse_as(FeatureSpec, data, "test")


def test_tags_follow_the_specification():
    tags = texture_tags(SPEC)
    both = [f for f in FEATURES.values() if f.family in SPEC.families and f.convention == "both"]
    assert len(tags) == len(set(tags)) == len(both)
    assert {"cm_joint_entr_2d_avg_fbn32", "ih_mean_fbn32", "stat_mean", "morph_volume"} <= set(tags)
    assert "cm_mcc_2d_avg_fbn32" not in tags
    pyradiomics = texture_tags(read_spec("cine_sax_pyradiomics"))
    assert {"cm_mcc_2_5d_avg_fbn32", "stat_std", "stat_total_energy", "morph_diam_row"} <= set(pyradiomics)
    theirs = texture_tags(SPEC.model_copy(update={"engine": "pyradiomics"}))
    assert set(theirs) < set(tags)
    assert not {"ih_mean_fbn32", "cm_dissimilarity_2d_avg_fbn32", "cm_sum_var_2d_avg_fbn32"} & set(theirs)
    assert {"morph_comp_1", "cm_inv_diff_2d_avg_fbn32"} <= set(theirs)


def test_matrices_without_directions_have_one_tag_per_dimension():
    spec = change(families=MATRICES, texture={"aggregation": ("2d_avg", "2d_comb", "3d_avg")})
    assert full_tags(FEATURES["szm_sze"], spec) == ["szm_sze_2d_fbn32", "szm_sze_3d_fbn32"]
    assert full_tags(FEATURES["rlm_sre"], spec) == [f"rlm_sre_{a}_fbn32" for a in ("2d_avg", "2d_comb", "3d_avg")]


def test_every_setting_that_changes_a_value_changes_the_tag():
    far = change(
        families=MATRICES,
        texture={"aggregation": ("3d_avg", "3d_comb"), "distances": (1, 2), "weighting": "euclidean", "coarseness": 1},
    )
    assert full_tags(FEATURES["cm_contrast"], far) == [
        "cm_contrast_3d_avg_fbn32",
        "cm_contrast_3d_avg_d2_fbn32",
        "cm_contrast_3d_comb_w_euclidean_fbn32",
        "cm_contrast_3d_comb_d2_w_euclidean_fbn32",
    ]
    assert full_tags(FEATURES["rlm_sre"], far) == ["rlm_sre_3d_avg_fbn32", "rlm_sre_3d_comb_w_euclidean_fbn32"]
    assert full_tags(FEATURES["dzm_sde"], far) == ["dzm_sde_3d_fbn32"]
    assert full_tags(FEATURES["ngt_busyness"], far) == ["ngt_busyness_3d_d2_fbn32"]
    assert full_tags(FEATURES["ngl_lde"], far) == ["ngl_lde_3d_d2_a1_fbn32"]
    assert texture_suffix("ngldm", "3d", 2, far) == "_3d_d2_a1_fbn32"


def test_under_pyradiomics_all_distances_are_one_set():
    spec = change(convention="pyradiomics", texture={"aggregation": ("3d_avg",), "distances": (2, 1)})
    assert full_tags(FEATURES["cm_mcc"], spec) == ["cm_mcc_3d_avg_d1_2_fbn32"]
    assert texture_suffix("glcm", "3d_avg", 2, spec) == "_3d_avg_d1_2_fbn32"
    one = change(convention="pyradiomics", texture={"aggregation": ("3d_avg",)})
    assert full_tags(FEATURES["cm_mcc"], one) == ["cm_mcc_3d_avg_fbn32"]


def test_intensity_volume_histogram_names_its_own_discretisation():
    spec = change(families=("ivh",), ivh=IvhSettings(method="fbs", width=2.5).model_dump())
    assert texture_tags(spec)[:2] == ["ivh_v10_fbs2p5", "ivh_v90_fbs2p5"]
    unscaled = {"method": "none", "within": "labelled"}
    plain = change(families=("ivh",), ivh=IvhSettings(method="none").model_dump(), normalisation=unscaled)
    assert texture_tags(plain)[:2] == ["ivh_v10", "ivh_v90"]


def test_filtered_images_have_their_name_and_their_discretisation_but_no_shape():
    wavelet = {"kind": "pyradiomics_wavelet", "wavelet": "coif1", "start_level": 0, "level": 1, "dimension": "3d"}
    own = Discretisation(method="fbs", width=10, max_bins=100).model_dump(exclude_none=True)
    spec = change(filters=({"kind": "original"}, wavelet | {"discretisation": own}))
    by_image = image_tags(spec)
    assert list(by_image)[:2] == ["original", "wavelet-LLH"]
    assert len(by_image) == 9
    assert not [tag for tag in by_image["wavelet-HHH"] if tag.startswith("morph")]
    tags = texture_tags(spec)
    assert len(tags) == len(set(tags))
    assert {"cm_corr_2d_avg_fbn32", "wavelet_llh__cm_corr_2d_avg_fbs10"} <= set(tags)
    filtered_only = change(filters=(wavelet,))
    assert all(tag.startswith("morph") for tag in image_tags(filtered_only)["original"])


def test_two_filters_of_one_name_are_refused():
    square = {"kind": "square"}
    with pytest.raises(ValueError, match="more than one gives an image named square"):
        change(filters=(square, square))


def test_a_parameter_file_gives_the_names_of_pyradiomics():
    names = PyradiomicsNames(features=("shape_MeshVolume", "glcm_Contrast"), voxel_array_shift=0).model_dump()
    filters = ({"kind": "original"}, {"kind": "pyradiomics_log", "sigma_mm": (1.0,)})
    spec = change(convention="pyradiomics", pyradiomics=names, filters=filters, texture={"aggregation": ("3d_avg",)})
    assert texture_tags(spec) == [
        "original_shape_MeshVolume",
        "original_glcm_Contrast",
        "log-sigma-1-0-mm-3D_glcm_Contrast",
    ]
    column = texture_column("lv_cavity", "cine", "ed", "log-sigma-1-0-mm-3D_glcm_Contrast")
    assert column == "lv_cavity__cine_ed__log-sigma-1-0-mm-3D_glcm_Contrast"
    info = describe_texture_column(column)
    assert info is not None
    assert info.name == "Contrast (Laplacian of Gaussian 1 0 mm 3D), LV cavity, end-diastole"
    assert info.ibsi_code == "ACUI"


def test_columns_name_the_filter():
    tag = "stat_mean"
    assert texture_column("lv_cavity", "cine", "ed", tag) == "lv_cavity__cine_ed__original__stat_mean"
    named = texture_column("lv_cavity", "cine", "ed", tag, "log-sigma-1-0-mm-3D")
    assert named == texture_column("lv_cavity", "cine", "ed", f"log_sigma_1_0_mm_3d__{tag}")
    assert named == "lv_cavity__cine_ed__log_sigma_1_0_mm_3d__stat_mean"


def every_filter():
    common = {"boundary": "mirror"}
    return (
        {"kind": "original"},
        {"kind": "mean", "dimension": "2d", "support_voxel": 3} | common,
        {"kind": "laplacian_of_gaussian", "dimension": "3d", "sigma_mm": 1.5, "truncate": 4} | common,
        {"kind": "square"},
        {"kind": "squareroot"},
        {"kind": "logarithm"},
        {"kind": "exponential"},
        {"kind": "gradient", "use_spacing": True},
        {"kind": "pyradiomics_log", "sigma_mm": (1, 2.5)},
        {"kind": "pyradiomics_wavelet", "wavelet": "haar", "start_level": 0, "level": 2, "dimension": "2d"},
        {"kind": "lbp_2d", "radius": 1, "samples": 8, "method": "uniform"},
    )


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_every_column_is_described(convention):
    aggregation = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
    texture = {"aggregation": aggregation, "distances": (1, 3), "weighting": "manhattan", "coarseness": 2}
    ivh = IvhSettings(method="fbn", bins=1000).model_dump()
    spec = change(families=(*EVERY, *MATRICES), texture=texture, ivh=ivh, convention=convention, filters=every_filter())
    columns = [texture_column("rv_cavity", "cine", "es", tag) for tag in texture_tags(spec)]
    assert len(columns) == len(set(columns)) > 2000
    for column in columns:
        info = describe_texture_column(column)
        assert isinstance(info, ColumnInfo), column
        assert info.column == column
        assert info.name.endswith(", RV cavity, end-systole")


@pytest.mark.parametrize(("width", "words"), [(1e-05, "0.00001"), (1234567.25, "1234567.25"), (1e16, "1" + "0" * 16)])
def test_a_column_of_any_bin_width_is_described(width, words):
    spec = change(discretisation={"method": "fbs", "width": width, "max_bins": 64})
    column = texture_column("lv_cavity", "cine", "ed", full_tags(FEATURES["cm_corr"], spec)[0])
    info = describe_texture_column(column)
    assert info is not None
    assert info.meaning.endswith(f"grey levels {words} wide).")


def test_description_names_aggregation_distance_and_bins():
    info = describe_texture_column("lv_myocardium__cine_ed__original__cm_inv_diff_norm_2_5d_avg_d2_fbs0p25")
    assert info is not None
    assert info.name == "Normalised inverse difference, LV myocardium, end-diastole"
    assert info.ibsi_code == "NDRX"
    assert info.meaning.endswith(
        "(in the slice plane, per direction, then averaged; voxels 2 apart; grey levels 0.25 wide)."
    )
    weighted = describe_texture_column("lv_cavity__cine_ed__wavelet_llh__rlm_sre_3d_comb_w_infinity_fbn32")
    assert weighted is not None
    assert weighted.name == "Short runs emphasis (wavelet llh), LV cavity, end-diastole"
    assert weighted.meaning.endswith("(in space; directions weighted by infinity distance; 32 grey levels).")
    near = describe_texture_column("lv_cavity__cine_ed__original__ngl_lde_3d_d2_a1_fbn32")
    assert near is not None
    assert "levels up to 1 apart count as equal" in near.meaning


@pytest.mark.parametrize(
    "column",
    [
        "lvef_pct",
        "liver__cine_ed__original__stat_mean",
        "lv_cavity__cine_ed__original__stat_nothing",
        "lv_cavity__cine_ed__original__stat_mean_fbn32",
        "lv_cavity__cine_ed__original__ih_mean",
        "lv_cavity__cine_ed__original__cm_corr_fbn32",
        "lv_cavity__cine_ed__original__cm_corr_2d_avg_fbn32_x",
        "lv_cavity__cine_ed__original__cm_corr_2d_fbn32",
        "lv_cavity__cine_ed__original__szm_sze_2d_avg_fbn32",
        "lv_cavity__cine_ed__original__szm_sze_2d_d2_fbn32",
        "lv_cavity__cine_ed__original__cm_corr_2d_avg_w_infinity_fbn32",
        "lv_cavity__cine_ed__original__cm_corr_2d_avg_a1_fbn32",
        "lv_cavity__cine_ed__original__stat",
        "lv_cavity__cine_ed__blur__stat_mean",
        "lv_cavity__cine_ed__original_glcm_Nothing",
        "lv_cavity__cine_ed__blur_glcm_Contrast",
    ],
)
def test_other_columns_are_not_described(column):
    assert describe_texture_column(column) is None


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("t1_native", "native T1"),
        ("t1_post", "post-contrast T1"),
        ("t2", "T2"),
        ("t2_star", "T2*"),
        ("ecv", "ECV"),
    ],
)
def test_columns_of_maps_have_no_phase(sequence, words):
    column = texture_column("lv_myocardium", sequence, "", "stat_mean")
    assert column == f"lv_myocardium__{sequence}__original__stat_mean"
    info = describe_texture_column(column)
    assert info is not None
    assert info.name == f"Mean, LV myocardium, {words}"


@pytest.mark.parametrize("name", ["t1_map", "t2_map", "ecv_map"])
def test_every_column_of_a_shipped_map_specification_is_described(name):
    spec = read_spec(name)
    columns = [texture_column(r, *key, tag) for key in spec.keys for r in spec.regions for tag in texture_tags(spec)]
    assert len(columns) == len(set(columns)) > 100
    for column in columns:
        info = describe_texture_column(column)
        assert info is not None, column
        assert info.column == column
