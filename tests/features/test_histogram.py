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
