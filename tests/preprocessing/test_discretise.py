import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radiocard.errors import IntensityError, UsageError
from radiocard.preprocessing.discretise import discretise
from radiocard.specs import Discretisation

VALUES = arrays(np.float64, st.integers(1, 40), elements=st.integers(-500, 500).map(float))


def fbn(bins, max_bins=1024):
    return Discretisation(method="fbn", bins=bins, max_bins=max_bins)


def fbs(width, max_bins=1024):
    return Discretisation(method="fbs", width=width, max_bins=max_bins)


@given(VALUES, st.integers(1, 64))
def test_fbn_is_the_ibsi_formula(values, bins):
    """IBSI manual, fixed bin number: floor(N (x - min) / (max - min)) + 1, and N at the maximum."""
    out = discretise(values, fbn(bins), convention="ibsi")
    if np.ptp(values) == 0:
        assert set(out.levels) == {1}
        assert out.n_levels == 1
        return
    expected = [
        bins if x == values.max() else int(bins * (x - values.min()) / (values.max() - values.min())) + 1
        for x in values
    ]
    assert out.levels.tolist() == expected
    assert out.n_levels == bins


@given(VALUES, st.sampled_from([0.5, 1.0, 25.0]))
def test_fbs_starts_at_the_minimum_or_at_zero(values, width):
    ibsi = discretise(values, fbs(width, 4096), convention="ibsi")
    assert ibsi.levels.tolist() == [int((x - values.min()) / width) + 1 for x in values]
    zero = discretise(values, fbs(width, 4096), convention="pyradiomics")
    assert zero.levels.tolist() == [int(x // width - values.min() // width) + 1 for x in values]
    assert zero.n_levels == zero.levels.max()


@given(VALUES, st.integers(-1000, 1000), st.sampled_from(["ibsi", "pyradiomics"]))
def test_fbn_is_blind_to_whole_offsets(values, offset, convention):
    # a power of two, so that scaled bin edges are exact
    a = discretise(values, fbn(32), convention=convention)
    b = discretise(4 * values + offset * 8, fbn(32), convention=convention)
    if convention == "ibsi":
        assert a.levels.tolist() == b.levels.tolist()
    else:  # numpy's edges are rounded, a value on an edge may fall to either side
        assert np.abs(a.levels - b.levels).max() <= 1


def test_fbs_starts_at_the_resegmentation_bound():
    values = np.array([10.0, 24.0, 25.0, 60.0])
    assert discretise(values, fbs(25), convention="ibsi", lower=0.0).levels.tolist() == [1, 1, 2, 3]
    with pytest.raises(UsageError, match="grey value 10 lies below the re-segmentation bound 20"):
        discretise(values, fbs(25), convention="ibsi", lower=20.0)


def test_no_value_is_refused():
    with pytest.raises(UsageError, match="no grey value to discretise"):
        discretise(np.array([]), fbn(8), convention="ibsi")


def test_nan_is_refused():
    with pytest.raises(IntensityError, match="E_NONFINITE: 1 of 2 voxels"):
        discretise(np.array([1.0, np.nan]), fbn(8), convention="ibsi")


@pytest.mark.parametrize("convention", ["ibsi", "pyradiomics"])
def test_one_extreme_voxel_does_not_explode(convention):
    values = np.array([0.0, 100.0, 1e12])
    with pytest.raises(IntensityError, match="E_BINS: Discretisation needs .* bins .* expected at most 1024"):
        discretise(values, fbs(25), convention=convention)
    with pytest.raises(IntensityError, match="E_BINS: Discretisation needs 64 bins"):
        discretise(values, fbn(64, max_bins=32), convention=convention)
