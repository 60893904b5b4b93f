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


def test_pyradiomics_adds_three_to_the_kurtosis_and_nothing_else():
    ibsi, theirs = (intensity_statistics(X, convention=c) for c in ("ibsi", "pyradiomics"))
    assert {tag for tag in ibsi if ibsi[tag] != theirs[tag]} == {"stat_kurt"}
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
