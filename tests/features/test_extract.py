import numpy as np
import pytest

from radiocard.errors import GeometryError, IntensityError, MaskError
from radiocard.features.extract import extract_case_texture, extract_region
from radiocard.features.registry import texture_tags
from radiocard.image import LABELS_ACDC, LABELS_MNMS, Case, Image, LabelMap
from radiocard.specs import read_spec

AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
SPEC = read_spec("cine_sax")


def heart(seed=0, shape=(26, 24, 5), labels=LABELS_ACDC):
    """A ring with a cavity and a crescent beside it, in noise."""
    rng = np.random.default_rng(seed)
    i, j, _ = np.indices(shape)
    near, far = np.hypot(i - 15, j - 12), np.hypot(i - 8, j - 12)
    array = np.zeros(shape, dtype=int)
    array[far < 7] = labels["rv_cavity"]
    array[near < 8] = labels["lv_myocardium"]
    array[near < 5] = labels["lv_cavity"]
    image = Image(rng.normal(200, 30, shape) + 40 * (near < 5), AFFINE)
    return image, LabelMap(array, AFFINE, labels=labels)


def case(image, labels):
    keys = [("cine", "ed"), ("cine", "es")]
    return Case("p1", dict.fromkeys(keys, image), dict.fromkeys(keys, labels))


@pytest.fixture
def lv():
    image, labels = heart()
    return image, labels.mask("lv_myocardium"), labels.array > 0


def test_keys_are_those_of_the_specification_and_all_defined(lv):
    image, mask, union = lv
    out = extract_region(image, mask, SPEC, labelled=union)
    assert list(out) == texture_tags(SPEC)
    assert all(isinstance(value, float) and np.isfinite(value) for value in out.values())


@pytest.mark.parametrize("family", SPEC.families)
def test_one_family_gives_the_same_as_all(lv, family):
    image, mask, union = lv
    every = extract_region(image, mask, SPEC, labelled=union)
    one = extract_region(image, mask, SPEC.model_copy(update={"families": (family,)}), labelled=union)
    assert one
    assert one == {tag: every[tag] for tag in one}


def test_translation_and_padding_change_nothing(lv):
    image, mask, union = lv
    pad = ((3, 1), (0, 4), (2, 0))
    moved = Image(np.pad(image.array, pad, constant_values=-999), AFFINE)
    out = extract_region(moved, np.pad(mask, pad), SPEC, labelled=np.pad(union, pad))
    assert out == pytest.approx(extract_region(image, mask, SPEC, labelled=union), rel=1e-9, abs=1e-12)


def test_scanner_gain_changes_no_feature_after_normalisation(lv):
    image, mask, union = lv
    louder = Image(4 * image.array, AFFINE)
    out = extract_region(louder, mask, SPEC, labelled=union)
    assert out == pytest.approx(extract_region(image, mask, SPEC, labelled=union), rel=1e-9, abs=1e-9)


def test_normalisation_uses_the_union_of_the_labels(lv):
    image, mask, union = lv
    alone, joined = (extract_region(image, mask, SPEC, labelled=u)["stat_mean"] for u in (None, union))
    assert alone == pytest.approx(0, abs=1e-12)
    used = image.array[union]
    assert joined == pytest.approx((image.array[mask].mean() - used.mean()) / used.std())


def test_keep_largest_drops_the_speck(lv):
    image, mask, union = lv
    speck = mask.copy()
    speck[0, 0, 0] = True
    roi = SPEC.roi.model_copy(update={"keep_largest": True})
    keep = SPEC.model_copy(update={"roi": roi})
    clean = extract_region(image, mask, SPEC, labelled=union)
    assert extract_region(image, speck, keep, labelled=union) == clean
    assert extract_region(image, mask, keep, labelled=union) == clean
    assert extract_region(image, speck, SPEC, labelled=union)["morph_diam"] > clean["morph_diam"]


def test_one_slice_is_described(lv):
    image, mask, union = lv
    single = mask & (np.arange(5) == 2)
    out = extract_region(image, single, SPEC, labelled=union)
    assert {tag for tag, value in out.items() if value is None} == {"morph_vol_dens_aee"}


def test_empty_region_is_refused(lv):
    image, mask, _ = lv
    with pytest.raises(MaskError, match="E_EMPTY_ROI: The region has no voxel"):
        extract_region(image, np.zeros_like(mask), SPEC, labelled=mask)


def test_small_region_is_refused(lv):
    image, mask, _ = lv
    small = np.zeros_like(mask)
    small[3:6, 3:6, 1] = True
    with pytest.raises(MaskError, match="E_ROI_SIZE: The region has 9 voxels, expected at least 16"):
        extract_region(image, small, SPEC)


def test_other_grid_is_refused(lv):
    image, mask, _ = lv
    with pytest.raises(GeometryError, match=r"The shape of mask is \(26, 24, 4\), expected .*\(26, 24, 5\)"):
        extract_region(image, mask[:, :, 1:], SPEC)
    with pytest.raises(GeometryError, match="The shape of labelled is"):
        extract_region(image, mask, SPEC, labelled=mask[1:])


def test_nan_in_the_region_is_refused_and_outside_ignored(lv):
    image, mask, union = lv
    array = image.array.copy()
    array[~union] = np.nan
    spec = SPEC.model_copy(update={"normalisation": SPEC.normalisation.model_copy(update={"method": "none"})})
    extract_region(Image(array, AFFINE), mask, spec)
    array[tuple(np.argwhere(mask)[0])] = np.inf
    with pytest.raises(IntensityError, match=r"E_NONFINITE: 1 of \d+ voxels are NaN or infinite in the region"):
        extract_region(Image(array, AFFINE), mask, spec)


def test_case_has_all_columns_and_no_issue():
    image, labels = heart()
    columns, issues = extract_case_texture(case(image, labels), SPEC)
    assert issues == []
    assert len(columns) == 3 * 2 * len(texture_tags(SPEC))
    one = extract_region(image, labels.mask("rv_cavity"), SPEC, labelled=labels.array > 0)
    assert {tag: columns[f"rv_cavity__cine_es__original__{tag}"] for tag in one} == one


def test_relabelling_changes_nothing():
    a, b = (extract_case_texture(case(*heart(labels=x)), SPEC)[0] for x in (LABELS_ACDC, LABELS_MNMS))
    assert a == b


def test_constant_region_warns_and_keeps_what_is_defined():
    image, labels = heart()
    array = image.array.copy()
    array[labels.mask("lv_cavity")] = 300.0
    columns, issues = extract_case_texture(case(Image(array, AFFINE), labels), SPEC)
    assert [(i.code, i.severity, i.field) for i in issues] == [
        ("W_CONSTANT", "warn", "cine_ed.lv_cavity"),
        ("W_CONSTANT", "warn", "cine_es.lv_cavity"),
    ]
    prefix = "lv_cavity__cine_ed__original__"
    undefined = {c.removeprefix(prefix) for c, v in columns.items() if c.startswith(prefix) and v is None}
    gradients = {f"ih_{end}_grad{g}_fbn32" for end in ("min", "max") for g in ("", "_g")}
    correlations = {"cm_corr_2d_avg_fbn32", "cm_info_corr1_2d_avg_fbn32"}
    spreads = {"stat_skew", "stat_kurt", "ih_skew_fbn32", "ih_kurt_fbn32"}
    assert undefined == gradients | correlations | spreads | {"morph_moran_i", "morph_geary_c"}
    assert columns[f"{prefix}stat_var"] == 0


def test_undefined_features_warn():
    image, labels = heart()
    array = np.where(np.arange(5) == 2, labels.array, 0)
    columns, issues = extract_case_texture(case(image, LabelMap(array, AFFINE, labels=LABELS_ACDC)), SPEC)
    assert {i.code for i in issues} == {"W_FEATURE_UNDEFINED"}
    assert f"1 of {len(texture_tags(SPEC))} features are undefined: morph_vol_dens_aee." in issues[0].message
    assert columns["lv_cavity__cine_ed__original__morph_vol_dens_aee"] is None


def test_a_missing_region_is_an_issue_and_the_others_go_on():
    image, labels = heart()
    array = np.where(labels.array == LABELS_ACDC["rv_cavity"], 0, labels.array)
    columns, issues = extract_case_texture(case(image, LabelMap(array, AFFINE, labels=LABELS_ACDC)), SPEC)
    assert {(i.code, i.severity, i.case) for i in issues} == {("E_EMPTY_ROI", "refuse", "p1")}
    assert columns["rv_cavity__cine_ed__original__stat_mean"] is None
    assert columns["lv_cavity__cine_ed__original__stat_mean"] is not None


def test_a_missing_phase_leaves_empty_columns():
    image, labels = heart()
    half = Case("p1", {("cine", "ed"): image}, {("cine", "ed"): labels})
    columns, issues = extract_case_texture(half, SPEC)
    assert issues == []
    assert columns["rv_cavity__cine_es__original__stat_mean"] is None
    assert columns["rv_cavity__cine_ed__original__stat_mean"] is not None


@pytest.mark.parametrize(
    ("aggregation", "slice_mm", "codes"),
    [("3d_avg", 8.0, {"W_THICK_SLICES"}), ("2_5d_comb", 8.0, set()), ("3d_avg", 4.0, set())],
)
def test_texture_in_space_on_thick_slices_warns(aggregation, slice_mm, codes):
    image, labels = heart()
    affine = np.diag([1.4, 1.4, slice_mm, 1.0])
    texture = SPEC.texture.model_copy(update={"aggregation": (aggregation,)})
    study = case(Image(image.array, affine), LabelMap(labels.array, affine, labels=LABELS_ACDC))
    _, issues = extract_case_texture(study, SPEC.model_copy(update={"texture": texture}))
    assert {issue.code for issue in issues} == codes
    if codes:
        assert "on voxels of 1.4 x 1.4 x 8 mm, expected a ratio of at most 3" in issues[0].message
