import re

import pytest

from radiocard.features.registry import FEATURES, ColumnInfo, describe_texture_column, texture_column, texture_tags
from radiocard.specs import read_spec


def test_list_is_complete_and_well_formed():
    families = [f.family for f in FEATURES.values()]
    counts = {name: families.count(name) for name in dict.fromkeys(families)}
    assert counts == {"shape_3d": 23, "shape_2d": 10, "intensity": 18, "histogram": 23, "glcm": 25}
    codes = [f.ibsi_code for f in FEATURES.values() if f.ibsi_code]
    assert len(codes) == len(set(codes)) == 23 + 18 + 23 + 25
    for tag, feature in FEATURES.items():
        assert re.fullmatch(r"[a-z0-9_]+", tag)
        assert feature.ibsi_code is None or re.fullmatch(r"[A-Z0-9]{4}", feature.ibsi_code)
        assert feature.meaning.endswith(".")
        assert 10 < len(feature.meaning) < 160
        assert feature.name


def test_tags_follow_the_specification():
    spec = read_spec("cine_sax")
    tags = texture_tags(spec)
    assert len(tags) == len(set(tags)) == len(FEATURES)
    assert {"cm_joint_entr_2d_avg_fbn32", "ih_mean_fbn32", "stat_mean", "morph_volume"} <= set(tags)
    two = spec.model_copy(
        update={"glcm": spec.glcm.model_copy(update={"distance": 2, "aggregation": ("3d_avg", "3d_comb")})}
    )
    assert {"cm_contrast_3d_avg_d2_fbn32", "cm_contrast_3d_comb_d2_fbn32"} <= set(texture_tags(two))
    theirs = texture_tags(spec.model_copy(update={"engine": "pyradiomics"}))
    assert set(theirs) < set(tags)
    assert "ih_mean_fbn32" not in theirs


def test_every_column_is_described():
    spec = read_spec("cine_sax")
    for tag in texture_tags(spec):
        column = texture_column("rv_cavity", "cine", "es", tag)
        info = describe_texture_column(column)
        assert isinstance(info, ColumnInfo)
        assert info.column == column
        assert info.name.endswith(", RV cavity, end-systole")


def test_description_names_aggregation_distance_and_bins():
    info = describe_texture_column("lv_myocardium__cine_ed__original__cm_inv_diff_norm_2_5d_avg_d2_fbs0p25")
    assert info is not None
    assert info.name == "Normalised inverse difference, LV myocardium, end-diastole"
    assert info.ibsi_code == "NDRX"
    assert info.meaning.endswith(
        "(in the slice plane, per direction, then averaged; voxels 2 apart; grey levels 0.25 wide)."
    )


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
        "lv_cavity__cine_ed__original__stat",
    ],
)
def test_other_columns_are_not_described(column):
    assert describe_texture_column(column) is None
