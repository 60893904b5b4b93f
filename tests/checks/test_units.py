"""Maps of one value with noise: units, impossible values, saturation, missing fits."""

import numpy as np
import pytest

from radiocard.checks.units import MEDIANS, check_units
from radiocard.errors import MaskError, UsageError
from radiocard.image import LABELS_ACDC, Image, LabelMap
from radiocard.io.units import convert_units, unit_factor

# Published for normal to severely ill hearts at 1.5 and 3 T.
TYPICAL = {
    "t1_native": (950.0, 1243.0, 1449.0),
    "t1_post": (250.0, 426.0, 600.0),
    "t2": (40.0, 52.0, 75.0),
    "t2_star": (4.0, 24.0, 40.0),
    "ecv": (20.0, 26.6, 60.0),
}
CASES = [(sequence, value) for sequence, values in TYPICAL.items() for value in values]


@pytest.fixture
def mask(heart):
    return LabelMap(heart(), np.eye(4), labels=LABELS_ACDC)


def filled(mask, value, spread_pct=5.0, dtype=float):
    noise = np.random.default_rng(0).normal(0, 1, mask.array.shape).clip(-3, 3)
    return Image((value * (1 + spread_pct / 100 * noise)).astype(dtype), mask.affine)


def check(image, mask, sequence, unit=None):
    return check_units(image, mask, sequence=sequence, declared_unit=unit, case="C0042", field=f"{sequence}.image")


@pytest.mark.parametrize(("sequence", "value"), CASES)
def test_maps_in_ms_or_percent_pass(mask, sequence, value):
    assert check(filled(mask, value), mask, sequence) == []


@pytest.mark.parametrize(("sequence", "value"), [c for c in CASES if c[0] != "ecv"])
def test_seconds_are_recognised_and_never_rescaled(mask, sequence, value):
    image = filled(mask, value / 1000)
    before = image.array.copy()
    (issue,) = check(image, mask, sequence)
    assert issue.code == "E_UNITS"
    assert issue.severity == "refuse"
    assert "looks like seconds" in issue.message
    assert "unit of this map (s)" in issue.hint
    np.testing.assert_array_equal(image.array, before)


@pytest.mark.parametrize(("sequence", "value"), [c for c in CASES if c[0] in ("t1_native", "t1_post", "t2")])
def test_tenths_of_a_millisecond_are_recognised(mask, sequence, value):
    (issue,) = check(filled(mask, value * 10), mask, sequence)
    assert issue.code == "E_UNITS"
    assert "looks like tenths of a millisecond" in issue.message


@pytest.mark.parametrize("value", TYPICAL["ecv"])
def test_ecv_as_a_fraction_is_recognised(mask, value):
    (issue,) = check(filled(mask, value / 100), mask, "ecv")
    assert issue.code == "E_UNITS"
    assert "looks like a fraction" in issue.message


def test_a_weighted_image_fits_no_unit(mask):
    (issue,) = check(filled(mask, 1.0), mask, "t2_star", "s") or (None,)
    assert issue.code == "E_UNITS"
    (issue,) = check(filled(mask, 60.0), mask, "t1_native")
    assert "no known unit fits" in issue.message
    assert "weighted" in issue.hint


@pytest.mark.parametrize(
    ("sequence", "unit", "value", "expected"),
    [("t1_native", "s", 1.2, 1200.0), ("t2", "0.1ms", 523.0, 52.3), ("ecv", "fraction", 0.27, 27.0),
     ("t1_post", "ms", 430.0, 430.0), ("ecv", "pct", 27.0, 27.0)],
)  # fmt: skip
def test_declared_units_are_checked_and_converted(mask, sequence, unit, value, expected):
    image = filled(mask, value)
    assert check(image, mask, sequence, unit) == []
    converted = convert_units(image, from_unit=unit, sequence=sequence)
    np.testing.assert_allclose(converted.array, image.array * (expected / value), rtol=1e-12)
    assert check(converted, mask, sequence) == []


def test_a_declared_unit_that_is_untrue_is_refused(mask):
    (issue,) = check(filled(mask, 1200.0), mask, "t1_native", "s")
    assert issue.code == "E_UNITS"
    assert "where the declared unit is s, expected 300 to 3000 ms" in issue.message


def test_conversion_never_wraps(mask):
    image = filled(mask, 30000, dtype="u2")
    converted = convert_units(image, from_unit="s", sequence="t1_native")
    assert converted.array.dtype == np.float64
    assert converted.array.max() == image.array.max() * 1000.0 > 65535


@pytest.mark.parametrize("sequence", list(MEDIANS))
def test_negative_values_are_refused(mask, sequence):
    image = filled(mask, TYPICAL[sequence][1])
    voxels = np.argwhere(mask.array == LABELS_ACDC["lv_myocardium"])[:3]
    image.array[tuple(voxels.T)] = -1.0
    (issue,) = check(image, mask, sequence)
    assert issue.code == "E_VALUES"
    assert f"3 of {(mask.array == 2).sum()} voxels of {sequence}" in issue.message
    assert "below zero" in issue.message


def test_negative_values_outside_the_myocardium_do_not_matter(mask):
    image = filled(mask, 1000.0)
    image.array[mask.array != 2] = -1.0
    assert check(image, mask, "t1_native") == []


def test_more_than_everything_is_refused(mask):
    image = filled(mask, 27.0)
    image.array[tuple(np.argwhere(mask.array == 2)[0])] = 100.5
    (issue,) = check(image, mask, "ecv")
    assert issue.code == "E_VALUES"
    assert "1 of" in issue.message
    assert "above 100 %" in issue.message


def test_saturated_voxels_warn_above_one_percent(mask):
    image, wall = filled(mask, 1000.0), np.argwhere(mask.array == 2)
    cut = len(wall) // 100
    for n, expected in ((cut - 1, []), (cut + 1, ["W_SATURATED"])):
        array = image.array.copy()
        array[tuple(wall[:n].T)] = 4095.0
        assert [i.code for i in check(Image(array, mask.affine), mask, "t1_native")] == expected


def test_the_limit_of_the_type_is_a_saturation(mask):
    image = filled(mask, 1000.0, dtype="i2")
    image.array[:20, :, :] = np.iinfo("i2").max
    (issue,) = check(image, mask, "t1_native")
    assert issue.severity == "warn"
    assert "greatest value of the map, 32767" in issue.message


def test_missing_fits_are_counted(mask):
    image, wall = filled(mask, 1000.0), np.argwhere(mask.array == 2)
    for share, expected in ((0.04, []), (0.06, ["W_UNFITTED"]), (0.6, ["W_UNFITTED"])):
        array = image.array.copy()
        array[tuple(wall[: int(share * len(wall))].T)] = 0.0
        issues = check(Image(array, mask.affine), mask, "t1_native")
        assert [i.code for i in issues] == expected  # the median is that of fitted voxels: no E_UNITS
    assert f"{int(0.6 * len(wall))} of {len(wall)} voxels" in issues[0].message


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_without_any_fit_is_refused(mask, value):
    (issue,) = check(Image(np.full(mask.array.shape, value), mask.affine), mask, "t2")
    assert issue.code == "E_VALUES"
    assert "No voxel of t2" in issue.message


def test_what_has_no_unit_is_refused(mask):
    image = filled(mask, 100.0)
    with pytest.raises(UsageError, match="The sequence 'lge' is no map with a unit, expected one of t1_native"):
        check(image, mask, "lge")
    with pytest.raises(UsageError, match="The unit 'pct' is none of t2, expected one of ms, s, 0.1ms"):
        check(image, mask, "t2", "pct")
    with pytest.raises(UsageError, match="The unit 'ms' is none of ecv, expected one of pct, fraction"):
        convert_units(image, from_unit="ms", sequence="ecv")
    with pytest.raises(MaskError, match="is not present"):
        check(image, LabelMap(np.zeros(mask.array.shape, int), np.eye(4), labels=LABELS_ACDC), "t2")


def test_factors_are_exact():
    assert unit_factor("s", "t1_native") == 1000.0
    assert unit_factor("0.1ms", "t2") == pytest.approx(0.1)
    assert unit_factor("fraction", "ecv") == 100.0
