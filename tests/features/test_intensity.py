from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from radiocard.features.intensity import intensity_statistics

X = np.random.default_rng(0).gamma(2.0, 30.0, size=500)
VALUES = arrays(np.float64, st.integers(1, 30), elements=st.integers(-1000, 1000).map(float))


def test_values_are_those_of_scipy():
    out = intensity_statistics(X, convention="ibsi")
    assert len(out) == 18
    expected = {
        "stat_mean": np.mean(X),
        "stat_var": np.var(X),
        "stat_skew": stats.skew(X),
        "stat_kurt": stats.kurtosis(X),
        "stat_median": np.median(X),
        "stat_iqr": stats.iqr(X),
        "stat_cov": stats.variation(X),
        "stat_mad": np.abs(X - X.mean()).mean(),
        "stat_medad": np.abs(X - np.median(X)).mean(),
        "stat_energy": np.linalg.norm(X) ** 2,
        "stat_rms": np.linalg.norm(X) / np.sqrt(500),
        "stat_p10": stats.scoreatpercentile(X, 10),
        "stat_p90": stats.scoreatpercentile(X, 90),
    }
    assert {tag: out[tag] for tag in expected} == pytest.approx(expected)


def test_pyradiomics_adds_three_to_the_kurtosis_and_a_standard_deviation():
    ibsi, theirs = (intensity_statistics(X, convention=c) for c in ("ibsi", "pyradiomics"))
    assert {tag for tag in ibsi if ibsi[tag] != theirs[tag]} == {"stat_kurt"}
    assert theirs.keys() - ibsi.keys() == {"stat_std"}
    assert theirs["stat_kurt"] == pytest.approx(ibsi["stat_kurt"] + 3)


@given(VALUES, st.integers(-500, 500).map(float))
def test_offset_moves_levels_and_keeps_spreads(values, offset):
    a, b = (intensity_statistics(x, convention="ibsi") for x in (values, values + offset))
    for tag in ("stat_mean", "stat_median", "stat_min", "stat_p10", "stat_p90", "stat_max"):
        assert b[tag] == pytest.approx(a[tag] + offset, abs=1e-9)
    for tag in ("stat_var", "stat_iqr", "stat_range", "stat_mad", "stat_rmad", "stat_medad"):
        assert b[tag] == pytest.approx(a[tag], abs=1e-6)


@pytest.mark.parametrize("grey", [0.1, -7.0, 0.0])
def test_one_grey_value_leaves_undefined_what_divides_by_its_spread(grey):
    out = intensity_statistics(np.full(1000, grey), convention="pyradiomics")
    undefined = {"stat_skew", "stat_kurt"} | ({"stat_cov", "stat_qcod"} if grey == 0 else set())
    assert {tag for tag, value in out.items() if value is None} == undefined
    assert out["stat_mean"] == grey
    assert out["stat_var"] == 0
    assert out["stat_mad"] == 0


def test_quartiles_of_sum_zero_have_no_quartile_coefficient():
    out = intensity_statistics(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), convention="ibsi")
    assert out["stat_qcod"] is None
    assert out["stat_cov"] is None


def test_input_is_neither_sorted_nor_changed():
    given = X.copy()
    shuffled = np.random.default_rng(1).permutation(X)
    a, b = (intensity_statistics(x, convention="pyradiomics") for x in (given, shuffled))
    assert a == b
    assert np.array_equal(given, X)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11, 97, 101])
def test_ranks_are_those_of_numpy_to_the_last_digit(n):
    x = np.random.default_rng(n).normal(size=n)
    out = intensity_statistics(x, convention="ibsi")
    p10, p25, median, p75, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    assert (out["stat_p10"], out["stat_median"], out["stat_p90"]) == (p10, median, p90)
    assert out["stat_iqr"] == p75 - p25
    robust = x[(x >= p10) & (x <= p90)]
    expected = np.abs(robust - robust.mean()).mean() if robust.size else None
    assert out["stat_rmad"] == (None if expected is None else pytest.approx(expected))


def test_a_large_offset_loses_no_digits():
    """Against exact fractions."""
    x = 1e4 + np.random.default_rng(2).gamma(2.0, 1e-3, size=400)
    exact = [Fraction(v) for v in x.tolist()]
    mean = sum(exact) / 400
    moments = [float(sum((v - mean) ** order for v in exact) / 400) for order in (2, 3, 4)]
    out = intensity_statistics(x, convention="pyradiomics")
    assert out["stat_mean"] == float(mean)
    assert out["stat_var"] == pytest.approx(moments[0], rel=1e-12)
    assert out["stat_skew"] == pytest.approx(moments[1] / moments[0] ** 1.5, rel=1e-8)
    assert out["stat_kurt"] == pytest.approx(moments[2] / moments[0] ** 2, rel=1e-8)
    assert out["stat_energy"] == pytest.approx(float(sum(v * v for v in exact)), rel=1e-14)


def test_shift_moves_energy_and_root_mean_square_only():
    plain, shifted = (
        intensity_statistics(X, convention="pyradiomics", shift=s, voxel_volume=2.5) for s in (0.0, 100.0)
    )
    assert {t for t in plain if plain[t] != shifted[t]} == {"stat_energy", "stat_total_energy", "stat_rms"}
    assert shifted["stat_energy"] == pytest.approx(np.sum((X + 100) ** 2))
    assert shifted["stat_rms"] == pytest.approx(np.sqrt(np.mean((X + 100) ** 2)))
    assert shifted["stat_total_energy"] == pytest.approx(2.5 * shifted["stat_energy"])
    assert plain["stat_std"] == pytest.approx(np.std(X))


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning:radiomics")
@pytest.mark.parametrize("shift", [0.0, 1234.5])
@pytest.mark.parametrize("offset", [0.0, -500.0, 1e4])
def test_pyradiomics_measures_the_same(offset, shift, make_region, run_pyradiomics):
    rng = np.random.default_rng(3)
    mask, values = rng.random((9, 8, 5)) < 0.6, offset + rng.gamma(2.0, 30.0, (9, 8, 5))
    region = make_region(mask, values=values)
    theirs = run_pyradiomics("firstorder", "RadiomicsFirstOrder", region, voxelArrayShift=shift, binCount=8)
    names = {
        "mean": "Mean",
        "var": "Variance",
        "std": "StandardDeviation",
        "skew": "Skewness",
        "kurt": "Kurtosis",
        "median": "Median",
        "min": "Minimum",
        "p10": "10Percentile",
        "p90": "90Percentile",
        "max": "Maximum",
        "iqr": "InterquartileRange",
        "range": "Range",
        "mad": "MeanAbsoluteDeviation",
        "rmad": "RobustMeanAbsoluteDeviation",
        "energy": "Energy",
        "total_energy": "TotalEnergy",
        "rms": "RootMeanSquared",
    }
    volume = float(np.prod(region.spacing))
    found = intensity_statistics(values[mask], convention="pyradiomics", shift=shift, voxel_volume=volume)
    expected = {f"stat_{tag}": theirs.pop(name) for tag, name in names.items()}
    assert theirs.keys() == {"Entropy", "Uniformity"}  # of the histogram
    assert {tag: found[tag] for tag in expected} == pytest.approx(expected, rel=1e-9)
