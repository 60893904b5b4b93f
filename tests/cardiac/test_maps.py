"""Rings with planted values: what is measured must be what the formula put there."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from radiocard.cardiac.map_dictionary import MAP_COLUMNS, MAP_FAMILIES, MAP_NAMES, map_columns
from radiocard.cardiac.map_segments import map_regions
from radiocard.cardiac.maps import mad_log_sd, measure_maps
from radiocard.errors import GeometryError, MaskError
from radiocard.image import Case, Image, LabelMap
from radiocard.specs.maps import MAP_UNITS, MapSettings, sequence_of

ORDERS = [(o, f) for o in itertools.permutations(range(3)) for f in itertools.product((False, True), repeat=3)]
SIX = {1: 90, 2: 30, 3: -30, 4: -90, 5: -150, 6: 150}
FOUR = {13: 90, 14: 0, 15: -90, 16: 180}
CENTRES = {**SIX, **{n + 6: a for n, a in SIX.items()}, **FOUR}
INNER, OUTER, BLOOD = 20.0, 30.0, 1900.0
SETTINGS = MapSettings(
    sequences=("t1_native", "t2", "ecv"),
    erosion_endo_pct=20.0,
    erosion_epi_pct=20.0,
    min_pixels_segment=6,
    blood_erosion_mm=4.0,
    blood_min_voxels=20,
    reference=None,
)


@pytest.fixture(scope="module")
def stack(made):
    """``stack(n_slices=3, rotation=0)``: only the drawn slices of a ring, and where its voxels truly lie."""

    def make(n_slices=3, rotation=0.0, spacing=(1.5, 1.5, 12.0), shape=(64, 66)):
        grid = made.Grid(spacing=spacing, rotation_deg=rotation, shape=(*shape, n_slices + 2))
        whole = made.paint(made.Heart(n_slices=n_slices, rv_slices=max(n_slices - 1, 1)), grid)
        affine = whole.affine.copy()
        affine[:3, 3] += affine[:3, 2]
        mask = LabelMap(whole.array[:, :, 1:-1], affine, labels=whole.labels)
        world = np.indices(mask.array.shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
        x, y = world @ np.array(grid.septum), world @ np.cross(grid.septum, grid.apex)
        depth = ((np.hypot(x, y) - INNER) / (OUTER - INNER)).reshape(mask.array.shape)
        angle = np.rad2deg(np.arctan2(y, x)).reshape(mask.array.shape)
        return SimpleNamespace(mask=mask, depth=depth, angle=angle, wall=mask.mask("lv_myocardium"))

    return make


def off(angle, centre):
    return np.abs((angle - centre + 180.0) % 360.0 - 180.0)


def planted(heart, numbers_by_slice, value_of, half_deg=20.0):
    """Values in the core of each segment, zero (no fit) near the borders between segments."""
    values = np.zeros(heart.mask.array.shape)
    for k, numbers in enumerate(numbers_by_slice):
        for n in numbers:
            core = off(heart.angle[:, :, k], CENTRES[n]) < half_deg
            values[:, :, k][core & heart.wall[:, :, k]] = value_of(n)
    values[heart.mask.mask("lv_cavity")] = BLOOD
    return Image(values, heart.mask.affine)


def case_of(sequence="t1_native", *, image, mask):
    return Case("made", {(sequence, ""): image}, {(sequence, ""): mask})


LEVELS = {1: [range(7, 13)], 2: [range(1, 7), range(7, 13)], 3: [range(1, 7), range(7, 13), range(13, 17)]}


@pytest.mark.parametrize("rotation", [0, 33, 117, 260])
@pytest.mark.parametrize("n_slices", [1, 2, 3])
def test_planted_segments_come_back_exactly(stack, n_slices, rotation):
    heart = stack(n_slices, rotation)
    image = planted(heart, LEVELS[n_slices], lambda n: 1000.0 + 10.0 * n)
    result = measure_maps(case_of(image=image, mask=heart.mask), SETTINGS)
    assert result.regions["t1_native"].proof.proven
    drawn = {n for level in LEVELS[n_slices] for n in level}
    for n in range(1, 17):
        value = result.values[f"t1_native_aha_{n:02d}_ms"]
        if n not in drawn:
            assert value is None
            assert result.values[f"t1_native_n_aha_{n:02d}"] == 0
            continue
        assert value == 1000.0 + 10.0 * n
        assert result.values[f"t1_native_sd_aha_{n:02d}_ms"] == 0.0
        assert result.values[f"t1_native_gradient_aha_{n:02d}_ms"] == 0.0
    assert result.values["t1_native_segment_max_ms"] == 1000.0 + 10.0 * max(drawn)
    assert result.values["t1_native_segment_sd_ms"] == pytest.approx(np.std([10.0 * n for n in drawn]))
    assert result.values["t1_native_blood_ms"] == BLOOD


def test_nine_slices_are_cut_into_thirds(made, stack):
    heart = stack(9)
    levels = [range(1, 7)] * 3 + [range(7, 13)] * 3 + [range(13, 17)] * 3
    result = measure_maps(case_of(image=planted(heart, levels, lambda n: 1000.0 + n), mask=heart.mask), SETTINGS)
    assert [result.values[f"t1_native_aha_{n:02d}_ms"] for n in range(1, 17)] == [1000.0 + n for n in range(1, 17)]
    assert result.issues == ()


@pytest.mark.parametrize("rotation", [0, 33])
def test_the_gradient_is_inner_minus_outer_half(stack, rotation):
    heart = stack(3, rotation)
    values = np.where(heart.depth < 0.5, 1100.0, 1000.0)
    values[np.abs(heart.depth - 0.5) < 0.08] = 0.0  # a pixel on the border may fall to either half
    result = measure_maps(case_of(image=Image(values, heart.mask.affine), mask=heart.mask), SETTINGS)
    for n in range(1, 17):
        assert result.values[f"t1_native_gradient_aha_{n:02d}_ms"] == 100.0


def test_depth_is_that_of_the_ring(stack):
    heart = stack(3, 25, spacing=(1.4, 1.7, 12.0))
    depth = map_regions(heart.mask, SETTINGS).depth
    assert np.abs(depth - heart.depth)[heart.wall].max() < 0.08  # of 10 mm: half a pixel
    assert np.isnan(depth[~heart.wall]).all()


@pytest.mark.parametrize(("endo", "epi"), [(0, 0), (20, 0), (0, 30), (33, 33)])
def test_the_margins_are_left_out_at_their_own_border(stack, endo, epi):
    heart = stack(3)
    settings = SETTINGS.model_copy(update={"erosion_endo_pct": float(endo), "erosion_epi_pct": float(epi)})
    kept = map_regions(heart.mask, settings).kept
    sure_in = (heart.depth > endo / 100 + 0.08) & (heart.depth < 1 - epi / 100 - 0.08)
    sure_out = (heart.depth < endo / 100 - 0.08) | (heart.depth > 1 - epi / 100 + 0.08)
    assert kept[heart.wall & sure_in].all()
    assert not kept[heart.wall & sure_out].any()
    assert not kept[~heart.wall].any()
    if endo == epi == 0:
        assert (kept == heart.wall).all()


def test_partial_volume_at_the_borders_does_not_reach_the_mean(stack):
    heart = stack(3)
    values = np.full(heart.mask.array.shape, 1000.0)
    values[heart.depth < 0.1] = 1900.0
    values[heart.depth > 0.9] = 300.0
    case = case_of(image=Image(values, heart.mask.affine), mask=heart.mask)
    assert measure_maps(case, SETTINGS).values["t1_native_ms"] == 1000.0
    bare = SETTINGS.model_copy(update={"erosion_endo_pct": 0.0, "erosion_epi_pct": 0.0})
    assert measure_maps(case, bare).values["t1_native_sd_ms"] > 100.0


def test_global_statistics_are_those_of_the_pixels(stack):
    heart = stack(3)
    values = np.random.default_rng(1).normal(1000.0, 50.0, heart.mask.array.shape)
    result = measure_maps(case_of(image=Image(values, heart.mask.affine), mask=heart.mask), SETTINGS)
    pixels = values[result.regions["t1_native"].kept]
    v = result.values
    assert v["t1_native_ms"] == pytest.approx(sum(pixels) / len(pixels))
    assert v["t1_native_sd_ms"] == pytest.approx(np.sqrt(sum((pixels - pixels.mean()) ** 2) / len(pixels)))
    assert v["t1_native_median_ms"] == pytest.approx(np.sort(pixels)[len(pixels) // 2], abs=1.0)
    assert sum(v[f"t1_native_n_aha_{n:02d}"] for n in range(1, 17)) == len(pixels)
    weighted = sum(v[f"t1_native_n_aha_{n:02d}"] * v[f"t1_native_aha_{n:02d}_ms"] for n in range(1, 17))
    assert weighted / len(pixels) == pytest.approx(v["t1_native_ms"])


@pytest.mark.parametrize("rotation", [0, 70])
def test_the_septal_region_is_the_middle_of_the_septum(stack, rotation):
    heart = stack(3, rotation)
    values = np.full(heart.mask.array.shape, 900.0)
    values[:, :, 1][off(heart.angle[:, :, 1], 0.0) < 32.0] = 1200.0
    result = measure_maps(case_of(image=Image(values, heart.mask.affine), mask=heart.mask), SETTINGS)
    assert result.values["t1_native_septal_ms"] == 1200.0
    septum = result.regions["t1_native"].septum
    assert set(np.argwhere(septum)[:, 2].tolist()) == {1}
    inside = result.regions["t1_native"].kept[:, :, 1] & (off(heart.angle[:, :, 1], 0.0) < 28.0)
    assert septum[:, :, 1][inside].all()


def test_all_48_storage_orders_give_the_same_columns(made, stack):
    heart = stack(3, 20, spacing=(2.0, 2.0, 12.0), shape=(50, 52))
    values = np.random.default_rng(2).normal(1000.0, 60.0, heart.mask.array.shape)
    values[heart.mask.mask("lv_cavity")] += 800.0
    image = Image(values, heart.mask.affine)
    expected = measure_maps(case_of(image=image, mask=heart.mask), SETTINGS).values
    assert len([v for v in expected.values() if v is not None]) == 16 * 5 + 7 + 2
    for order, flips in ORDERS:
        case = case_of(image=made.stored(image, order, flips), mask=made.stored(heart.mask, order, flips))
        result = measure_maps(case, SETTINGS)
        assert result.regions["t1_native"].proof.proven, (order, flips)
        assert result.values == pytest.approx(expected, abs=1e-9), (order, flips)


@pytest.mark.parametrize(("order", "flips"), [o for o in ORDERS if o[0] == (0, 1, 2)])
@pytest.mark.parametrize("n_slices", [1, 2])
def test_short_stacks_do_not_depend_on_storage(made, stack, n_slices, order, flips):
    heart = stack(n_slices, 20)
    image = planted(heart, LEVELS[n_slices], lambda n: 1000.0 + n)
    case = case_of(image=made.stored(image, order, flips), mask=made.stored(heart.mask, order, flips))
    result = measure_maps(case, SETTINGS)
    assert result.regions["t1_native"].proof.proven
    for n in (n for level in LEVELS[n_slices] for n in level):
        assert result.values[f"t1_native_aha_{n:02d}_ms"] == 1000.0 + n


def test_short_stacks_say_which_levels_are_taken(stack):
    for n_slices, words in ((1, "one slice of a stack of 1, taken as mid by"), (2, "taken as basal and mid by")):
        heart = stack(n_slices)
        image = planted(heart, LEVELS[n_slices], lambda _: 1000.0)
        (issue,) = measure_maps(case_of(image=image, mask=heart.mask), SETTINGS).issues
        assert issue.code == "W_SLICES"
        assert issue.case == "made"
        assert words in issue.message


def test_a_slice_of_three_that_was_not_drawn_keeps_the_levels_of_the_others(stack):
    heart = stack(3)
    labels = heart.mask.array.copy()
    labels[:, :, 0] = 0
    mask = replace(heart.mask, array=labels)
    image = planted(heart, LEVELS[3], lambda n: 1000.0 + n)
    result = measure_maps(case_of(image=image, mask=mask), SETTINGS)
    assert result.values["t1_native_aha_01_ms"] is None
    assert result.values["t1_native_aha_07_ms"] == 1007.0
    assert result.values["t1_native_aha_16_ms"] == 1016.0
    assert "on 2 slices of a stack of 3, taken as mid and apical" in result.issues[0].message


def test_a_segment_with_few_pixels_has_no_value(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda n: 0.0 if n == 8 else 1000.0)
    kept = np.argwhere((off(heart.angle, 30.0) < 10) & (np.abs(heart.depth - 0.5) < 0.2) & heart.wall)
    for i, j, _ in kept[kept[:, 2] == 1][:5]:
        image.array[i, j, 1] = 5000.0
    values = measure_maps(case_of(image=image, mask=heart.mask), SETTINGS).values
    assert values["t1_native_n_aha_08"] == 5
    assert values["t1_native_aha_08_ms"] is None
    assert values["t1_native_sd_aha_08_ms"] is None
    assert values["t1_native_gradient_aha_08_ms"] is None
    assert values["t1_native_segment_max_ms"] == 1000.0


@pytest.mark.parametrize("bad", [0.0, -50.0, np.nan, np.inf])
def test_pixels_without_a_fit_are_left_out(stack, bad):
    heart = stack(3)
    values = np.full(heart.mask.array.shape, 1000.0)
    values[::3] = bad
    result = measure_maps(case_of(image=Image(values, heart.mask.affine), mask=heart.mask), SETTINGS)
    assert result.values["t1_native_ms"] == 1000.0
    kept = result.regions["t1_native"].kept
    assert sum(result.values[f"t1_native_n_aha_{n:02d}"] for n in range(1, 17)) == kept.sum() - kept[::3].sum()


def test_thickness_of_the_ring(stack):
    heart = stack(3, 40)
    values = measure_maps(case_of(image=planted(heart, LEVELS[3], lambda _: 1000.0), mask=heart.mask), SETTINGS).values
    assert values["mwt_mean_map_mm"] == pytest.approx(OUTER - INNER, abs=0.3)
    assert values["mwt_max_map_mm"] == pytest.approx(OUTER - INNER, abs=0.6)
    assert values["wt_aha_09_map_mm"] == pytest.approx(OUTER - INNER, abs=0.6)


def test_unevenness_of_t2_is_that_of_the_logarithms(stack):
    """Baessler 2015: pixel SD per segment, logarithm, mean absolute deviation over the segments."""
    assert mad_log_sd([2.0, 2.0, 8.0, 8.0]) == pytest.approx(np.log(2.0))
    assert mad_log_sd([4.0]) is None
    assert mad_log_sd([4.0, 0.0]) is None
    heart = stack(3)
    spread = np.where(heart.angle > 0, 2.0, 8.0) * np.where(np.indices(heart.angle.shape).sum(axis=0) % 2, 1.0, -1.0)
    case = case_of("t2", image=Image(50.0 + spread, heart.mask.affine), mask=heart.mask)
    values = measure_maps(case, SETTINGS).values
    assert values["t2_sd_aha_07_ms"] == pytest.approx(2.0, abs=0.02)
    assert values["t2_sd_aha_10_ms"] == pytest.approx(8.0, abs=0.1)
    assert values["t2_mad_log_sd"] == pytest.approx(mad_log_sd([values[f"t2_sd_aha_{n:02d}_ms"] for n in range(1, 17)]))
    assert values["t2_mad_log_sd"] == pytest.approx(np.log(2.0), abs=0.15)


def test_blood_that_cannot_be_found_is_a_warning(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda _: 1000.0)
    settings = SETTINGS.model_copy(update={"blood_erosion_mm": 40.0})
    result = measure_maps(case_of(image=image, mask=heart.mask), settings)
    assert result.values["t1_native_blood_ms"] is None
    assert "t1_native" not in result.blood
    (issue,) = result.issues
    assert (issue.code, issue.case, issue.field) == ("W_FEATURE_UNDEFINED", "made", "t1_native.blood")


def test_only_maps_of_the_settings_that_the_case_has_are_measured(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda _: 30.0)
    keys = [("ecv", ""), ("t1_post", ""), ("cine", "ed")]
    case = Case("made", dict.fromkeys(keys, image), dict.fromkeys(keys, heart.mask))
    result = measure_maps(case, SETTINGS)
    assert set(result.regions) == {"ecv"}
    assert result.values["ecv_pct"] == 30.0
    assert result.values["ecv_gradient_aha_05_pct"] == 0.0
    assert not result.blood
    none = measure_maps(Case("made", {}, {}), SETTINGS)
    assert none.values == {}
    assert none.wall is None


def test_every_column_is_in_the_dictionary_and_none_besides(stack):
    heart = stack(3)
    keys = [(name, "") for name in MAP_UNITS]
    image = planted(heart, LEVELS[3], lambda n: 60.0 + n)
    case = Case("made", dict.fromkeys(keys, image), dict.fromkeys(keys, heart.mask))
    every = SETTINGS.model_copy(update={"sequences": tuple(MAP_UNITS)})
    assert set(measure_maps(case, every).values) == set(MAP_COLUMNS)


def test_columns_are_listed_by_sequence(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda n: 60.0 + n)
    for name in MAP_UNITS:
        settings = SETTINGS.model_copy(update={"sequences": (name,)})
        assert list(map_columns([name])) != list(MAP_COLUMNS)
        assert set(map_columns([name])) == set(
            measure_maps(case_of(name, image=image, mask=heart.mask), settings).values
        )


def test_one_unproven_map_leaves_the_case_unproven(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda _: 60.0)
    unstated = replace(heart.mask, oriented=False)
    keys = [("t1_native", ""), ("ecv", "")]
    case = Case("made", dict.fromkeys(keys, image), {keys[0]: heart.mask, keys[1]: unstated})
    proof = measure_maps(case, SETTINGS).proof
    assert not proof.proven
    assert proof.reason.startswith("The file states no orientation")
    assert measure_maps(case_of(image=image, mask=heart.mask), SETTINGS).proof.proven
    assert measure_maps(Case("made", {}, {}), SETTINGS).proof.reason == "There is no map."


def test_the_dictionary_is_complete():
    for column, info in MAP_COLUMNS.items():
        assert info.column == column
        assert column.isascii()
        assert column == column.lower()
        assert info.meaning.endswith(".")
        assert info.family in MAP_FAMILIES
        assert "{" not in info.name + info.meaning
        if column.endswith(("_ms", "_pct", "_mm")):
            assert info.unit == {"ms": "ms", "pct": "%", "mm": "mm"}[column.rsplit("_", 1)[1]]
        if sequence_of(column):
            assert info.family == MAP_NAMES[sequence_of(column)]
    assert MAP_COLUMNS["t1_native_ms"].family == "Native T1"


def test_a_map_without_mask_or_with_another_mask_is_refused(stack):
    heart = stack(3)
    image = planted(heart, LEVELS[3], lambda _: 1000.0)
    with pytest.raises(MaskError, match=r"There is no mask of t1_native; .* \[case made, t1_native.mask\]"):
        measure_maps(Case("made", {("t1_native", ""): image}, {}), SETTINGS)
    short = replace(heart.mask, array=heart.mask.array[:-1])
    with pytest.raises(GeometryError, match=r"Map and mask differ in shape: \(64, 66, 3\) and \(63, 66, 3\)"):
        measure_maps(case_of(image=image, mask=short), SETTINGS)


def test_a_mask_without_right_ventricle_is_refused(stack):
    heart = stack(3)
    mask = replace(heart.mask, array=np.where(heart.mask.array == 1, 0, heart.mask.array))
    with pytest.raises(MaskError, match=r"Label 1 \(rv_cavity\) is not present"):
        measure_maps(case_of(image=planted(heart, LEVELS[3], lambda _: 1e3), mask=mask), SETTINGS)
