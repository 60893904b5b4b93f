"""Thresholds against closed forms, an exhaustive search and scipy."""

import numpy as np
import pytest
from scipy import stats

from radiocard.cardiac.scar_methods import (
    RemoteTissue,
    bimodality_coefficient,
    fwhm_threshold,
    n_sd_threshold,
    otsu_threshold,
    remote_tissue,
)
from radiocard.cardiac.scar_mixture import gmm_threshold
from radiocard.errors import IntensityError, MaskError

GRID = (np.arange(4000) + 0.5) / 4000


def two_normals(scar_share, distance, scar_sd=10.0):
    """Quantiles of remote myocardium (50, SD 10) and of scar: no random numbers."""
    n = round(4000 * scar_share)
    remote, scar = ((np.arange(m) + 0.5) / m for m in (4000 - n, n))
    return np.concatenate([stats.norm.ppf(remote, 50, 10), stats.norm.ppf(scar, 50 + distance, scar_sd)])


def test_n_sd_is_the_mean_plus_standard_deviations():
    remote = remote_tissue(np.array([8.0, 12.0] * 10))
    assert remote == RemoteTissue(mean=10.0, sd=2.0, n_voxels=20)
    assert n_sd_threshold(remote, n_sd=5.0) == 20.0


def test_a_remote_region_of_a_few_voxels_is_refused():
    with pytest.raises(MaskError, match="has 9 voxels, expected at least 10") as error:
        remote_tissue(np.ones(9))
    assert error.value.code == "E_ROI_SIZE"


def test_fwhm_is_half_of_the_maximum():
    assert fwhm_threshold(np.array([70.0, 90.0, 120.0])) == 60.0


def test_fwhm_of_nothing_is_refused():
    with pytest.raises(MaskError, match="hyperenhanced region is empty"):
        fwhm_threshold(np.empty(0))


def test_fwhm_of_an_image_without_positive_signal_is_refused():
    with pytest.raises(IntensityError, match="highest grey value is -3, expected a positive one"):
        fwhm_threshold(np.array([-5.0, -3.0]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (stats.norm.ppf(GRID), 1 / 3),
        (GRID, 5 / 9),
        (stats.expon.ppf((np.arange(400_000) + 0.5) / 400_000), 5 / 9),
        (np.repeat([0.0, 1.0], 2000), 1.0),
    ],
    ids=["normal", "uniform", "exponential", "two values"],
)
def test_bimodality_of_known_distributions(values, expected):
    assert bimodality_coefficient(values) == pytest.approx(expected, abs=2e-3)


def test_bimodality_agrees_with_scipys_moments():
    values = np.random.default_rng(3).gamma(2.0, size=37)
    skewness, excess = stats.skew(values, bias=False), stats.kurtosis(values, bias=False)
    correction = 3 * 36**2 / (35 * 34)
    assert bimodality_coefficient(values) == pytest.approx((skewness**2 + 1) / (excess + correction), rel=1e-12)


@pytest.mark.parametrize("values", [np.ones(50), np.array([1.0, 2.0, 3.0])])
def test_bimodality_is_undefined_without_spread_or_values(values):
    assert bimodality_coefficient(values) is None


def test_otsu_maximises_the_variance_between_classes():
    values = np.random.default_rng(1).permutation(np.rint(two_normals(0.3, 60.0)))
    levels = np.unique(values)
    between = [
        (values > t).mean() * (values <= t).mean() * (values[values > t].mean() - values[values <= t].mean()) ** 2
        for t in levels[:-1]
    ]
    best = int(np.argmax(between))
    assert otsu_threshold(values, hyperenhanced_from=90.0) == (levels[best] + levels[best + 1]) / 2


@pytest.mark.parametrize("method", [otsu_threshold, gmm_threshold])
@pytest.mark.parametrize("snr", [2.0, 6.0])
def test_normal_myocardium_with_rician_noise_holds_no_scar(method, snr):
    rng = np.random.default_rng(5)
    samples = [np.hypot(snr + rng.normal(size=800), rng.normal(size=800)) for _ in range(6)]
    from_5_sd = [s.mean() + 5 * s.std() for s in samples]
    assert [method(s, hyperenhanced_from=t) for s, t in zip(samples, from_5_sd, strict=True)] == [None] * 6


@pytest.mark.parametrize("method", [otsu_threshold, gmm_threshold])
def test_scar_of_a_fifth_of_the_wall_is_found(method):
    values = two_normals(0.2, 70.0)
    assert np.mean(values > method(values, hyperenhanced_from=100.0)) == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("method", [otsu_threshold, gmm_threshold])
def test_one_grey_value_is_no_scar(method):
    assert method(np.full(100, 7.0), hyperenhanced_from=0.0) is None


@pytest.mark.parametrize("method", [otsu_threshold, gmm_threshold])
def test_thresholds_follow_the_grey_scale_and_ignore_the_order(method):
    values = np.rint(two_normals(0.3, 75.0))
    threshold = method(values, hyperenhanced_from=100.0)
    assert method(np.random.default_rng(0).permutation(values), hyperenhanced_from=100.0) == threshold
    assert method(4.0 * values - 100.0, hyperenhanced_from=300.0) == pytest.approx(4.0 * threshold - 100.0, rel=1e-6)


@pytest.mark.parametrize("method", [otsu_threshold, gmm_threshold])
def test_a_second_tissue_that_is_not_hyperenhanced_is_no_scar(method):
    values = two_normals(0.3, 60.0)  # the brighter class lies at 110
    assert method(values, hyperenhanced_from=105.0) is not None
    assert method(values, hyperenhanced_from=115.0) is None
