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


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        (np.full(4, 3e9, np.float32), fbs(25.0)),
        (np.full(4, -3e9, np.float32), fbs(25.0)),
        (np.full(4, -1e18), fbs(25.0)),
        (np.array([1e8], np.float32), fbs(0.1)),
        (np.full(4, 1e9, np.float32), fbn(32)),
        (np.full(4, 1e19), fbn(32)),
    ],
)
def test_bins_that_rounding_swallows_are_refused(values, settings):
    with pytest.raises(IntensityError, match="E_BINS: Bins are too narrow for grey values near"):
        discretise(values, settings, convention="pyradiomics")


def _values(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 300)
    yield rng.normal(300, 80, size)
    yield rng.integers(-50, 400, size).astype(np.int16)
    yield rng.integers(0, 40, size) * 0.1  # on edges that are not exact in binary
    yield (rng.integers(0, 60, size) * 0.1).astype(np.float32)
    yield rng.normal(0, 1, size).astype(np.float32)
    yield np.full(size, 7.3)


@pytest.mark.parametrize("seed", range(20))
def test_levels_are_those_of_pyradiomics_bit_by_bit(seed, pyradiomics):
    for x in _values(seed):
        for width in (25.0, 0.1, 0.3, 5.0):
            if np.ptp(x) / width < 4000:
                expected = np.digitize(x, pyradiomics.getBinEdges(x, binWidth=width))
                found = discretise(x, fbs(width, 5000), convention="pyradiomics").levels
                np.testing.assert_array_equal(found, expected)
        for bins in (1, 2, 7, 32, 64):
            expected = np.digitize(x, pyradiomics.getBinEdges(x, binCount=bins))
            found = discretise(x, fbn(bins), convention="pyradiomics").levels
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(20))
def test_edges_are_searched_as_numpy_does(seed):
    """A value on an edge belongs to the bin above it, however the edge is rounded."""
    rng = np.random.default_rng(seed)
    width = float(rng.choice([0.1, 0.3, 0.7, 1.1]))
    edges = np.arange(-30, 30) * width
    x = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    low = x.min() - x.min() % width
    expected = np.digitize(x, np.arange(low, x.max() + 2 * width, width))
    np.testing.assert_array_equal(discretise(x, fbs(width), convention="pyradiomics").levels, expected)
    cut = np.linspace(x.min(), x.max(), 33)
    y = np.concatenate([cut, np.nextafter(cut[1:-1], -np.inf), np.nextafter(cut[1:-1], np.inf)])
    cut[-1] += 1
    np.testing.assert_array_equal(discretise(y, fbn(32), convention="pyradiomics").levels, np.digitize(y, cut))
