import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiocard.errors import SpecError
from radiocard.features.ivh import intensity_volume_histogram
from radiocard.specs import IvhSettings

NONE = IvhSettings(method="none")


def brute_force(levels, last):
    """All features from the whole curve, for levels 0 to ``last``."""
    volume = np.array([np.mean(levels >= g) for g in range(last + 1)])
    intensity = np.arange(last + 1) / last
    v10, v90 = (volume[intensity >= x - 1e-12].max() for x in (0.1, 0.9))
    i10, i90 = (np.flatnonzero(volume <= x + 1e-12) for x in (0.1, 0.9))
    return {
        "ivh_v10": v10,
        "ivh_v90": v90,
        "ivh_i10": i10[0] if i10.size else None,
        "ivh_i90": i90[0] if i90.size else None,
        "ivh_diff_v10_v90": v10 - v90,
        "ivh_diff_i10_i90": i10[0] - i90[0] if i10.size and i90.size else None,
        "ivh_auc": np.trapezoid(volume, intensity),
    }


@given(st.lists(st.integers(0, 30), min_size=2, max_size=60).filter(lambda v: len(set(v)) > 1))
def test_values_are_those_of_the_curve(values):
    levels = np.array(values) - min(values)
    assert intensity_volume_histogram(levels, NONE) == pytest.approx(brute_force(levels, int(levels.max())))


def test_fixed_bins_stand_for_their_centres_and_fill_the_range():
    values = np.array([-990.0, -10.0, 1.0, 1.2, 3.9, 399.9, 400.0])
    settings = IvhSettings(method="fbs", width=2.5)
    found = intensity_volume_histogram(values, settings, lower=-1000, upper=400)
    levels = np.minimum(np.floor((values + 1000) / 2.5), 559).astype(int)  # the upper bound is in the last bin
    expected = brute_force(levels, 559)
    for tag in ("ivh_i10", "ivh_i90"):
        expected[tag] = None if expected[tag] is None else -1000 + 2.5 * (expected[tag] + 0.5)
    expected["ivh_diff_i10_i90"] = None
    assert found == pytest.approx(expected)
    assert found["ivh_i10"] is None  # two of seven are in the last bin


def test_fixed_bins_without_bounds_start_at_the_minimum():
    found = intensity_volume_histogram(np.array([0.3, 0.4, 2.4, 5.4]), IvhSettings(method="fbs", width=1.0))
    assert found["ivh_i90"] == pytest.approx(0.3 + 1.5)  # levels 0, 0, 2, 5
    assert found["ivh_v10"] == pytest.approx(0.5)


def test_bin_numbers_of_a_fixed_bin_number():
    values = np.random.default_rng(0).permutation(np.arange(1025.0))[:500] - 300
    found = intensity_volume_histogram(values, IvhSettings(method="fbn", bins=512), lower=-1000, upper=9000)
    share = (values - values.min()) / np.ptp(values)
    expected = brute_force(np.minimum(np.floor(512 * share), 511), 511)
    expected |= {tag: expected[tag] + 1 for tag in ("ivh_i10", "ivh_i90")}
    assert found == pytest.approx(expected)


def test_bounds_do_not_move_levels_without_bins():
    values = np.array([-3.0, 2.0, 2.0, 5.0])
    assert intensity_volume_histogram(values, NONE, lower=-500, upper=400) == intensity_volume_histogram(values, NONE)


def test_one_grey_value_has_no_fractions_and_no_area():
    found = intensity_volume_histogram(np.full(9, 4.0), NONE)
    assert found.pop("ivh_auc") == 0
    assert set(found.values()) == {None}
    assert len(found) == 6


def test_grey_values_that_are_not_whole_need_bins():
    with pytest.raises(SpecError, match=r"Grey values such as 1\.5 are not whole numbers"):
        intensity_volume_histogram(np.array([1.0, 1.5]), NONE)


def test_digital_phantom_has_the_consensus_values(digital_phantom):
    found = intensity_volume_histogram(digital_phantom.values[digital_phantom.intensity_mask], NONE)
    assert found["ivh_v10"] == pytest.approx(0.324, abs=0.0005)
    assert found["ivh_v90"] == pytest.approx(0.0946, abs=0.00005)
    assert found["ivh_diff_v10_v90"] == pytest.approx(0.23, abs=0.005)
    assert [found[f"ivh_{n}"] for n in ("i10", "i90", "diff_i10_i90")] == [5, 2, 3]
