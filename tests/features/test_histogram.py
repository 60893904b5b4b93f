import numpy as np
import pytest

from radiocard.features.histogram import intensity_histogram
from radiocard.preprocessing.discretise import GreyLevels


def test_equal_bins_have_the_entropy_of_their_number():
    grey = GreyLevels(np.repeat(np.arange(1, 9), 5), 8)
    out = intensity_histogram(grey, convention="ibsi")
    assert len(out) == 23
    assert out["ih_entropy"] == pytest.approx(3)
    assert out["ih_uniformity"] == pytest.approx(1 / 8)
    assert out["ih_max_grad"] == out["ih_min_grad"] == 0
    assert out["ih_mean"] == 4.5


def test_gradient_counts_empty_bins_and_one_sided_ends():
    counts = [3, 0, 5, 1]
    grey = GreyLevels(np.repeat(np.arange(1, 5), counts), 4)
    out = intensity_histogram(grey, convention="ibsi")
    # differences -3, 1, 0.5, -4: one-sided at the ends, halved in between
    assert (out["ih_max_grad"], out["ih_max_grad_g"]) == (1, 2)
    assert (out["ih_min_grad"], out["ih_min_grad_g"]) == (-4, 4)


def test_mode_is_the_one_nearest_the_mean():
    grey = GreyLevels(np.array([1, 1, 5, 6, 6]), 6)
    assert intensity_histogram(grey, convention="ibsi")["ih_mode"] == 6


def test_kurtosis_follows_the_convention():
    grey = GreyLevels(np.array([1, 2, 2, 3]), 3)
    ibsi, theirs = (intensity_histogram(grey, convention=c)["ih_kurt"] for c in ("ibsi", "pyradiomics"))
    assert (ibsi, theirs) == (-1, 2)


def test_one_grey_level_has_no_gradient_and_no_shape():
    out = intensity_histogram(GreyLevels(np.ones(20, dtype=int), 1), convention="ibsi")
    gradients = {"ih_max_grad", "ih_max_grad_g", "ih_min_grad", "ih_min_grad_g"}
    assert {tag for tag, value in out.items() if value is None} == gradients | {"ih_skew", "ih_kurt"}
    assert str(out["ih_entropy"]) == "0.0"
    assert out["ih_uniformity"] == 1


def test_values_are_those_of_the_levels_themselves():
    levels = np.random.default_rng(0).binomial(30, 0.3, size=997) + 1
    out = intensity_histogram(GreyLevels(levels, 40), convention="ibsi")
    assert out["ih_mean"] == pytest.approx(levels.mean())
    assert out["ih_var"] == pytest.approx(levels.var())
    assert out["ih_mad"] == pytest.approx(np.abs(levels - levels.mean()).mean())
    assert [out[f"ih_{name}"] for name in ("p10", "median", "p90")] == np.percentile(levels, [10, 50, 90]).tolist()
    gradient = np.gradient(np.bincount(levels, minlength=41)[1:].astype(float))
    assert (out["ih_max_grad"], out["ih_max_grad_g"]) == (gradient.max(), gradient.argmax() + 1)
    assert (out["ih_min_grad"], out["ih_min_grad_g"]) == (gradient.min(), gradient.argmin() + 1)


def test_two_bins_have_one_difference():
    out = intensity_histogram(GreyLevels(np.array([1, 2, 2, 2]), 2), convention="ibsi")
    assert (out["ih_max_grad"], out["ih_max_grad_g"], out["ih_min_grad"]) == (2, 1, 2)


def test_pyradiomics_entropy_and_uniformity_are_those_of_the_histogram(make_region, run_pyradiomics):
    rng = np.random.default_rng(1)
    mask, values = rng.random((9, 8, 5)) < 0.6, rng.gamma(2.0, 30.0, (9, 8, 5))
    theirs = run_pyradiomics("firstorder", "RadiomicsFirstOrder", make_region(mask, values=values), binWidth=25)
    levels = (values[mask] // 25).astype(int) - int(values[mask].min() // 25) + 1  # edges at multiples of 25
    out = intensity_histogram(GreyLevels(levels, int(levels.max())), convention="pyradiomics")
    assert out["ih_entropy"] == pytest.approx(theirs["Entropy"], rel=1e-12)
    assert out["ih_uniformity"] == pytest.approx(theirs["Uniformity"], rel=1e-12)
