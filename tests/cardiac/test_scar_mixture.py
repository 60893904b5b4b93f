"""Mixtures against closed forms and scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from radiocard.cardiac.scar_mixture import fit_mixture, gmm_threshold

GRID = (np.arange(4000) + 0.5) / 4000


def two_normals(scar_share, distance, scar_sd=10.0):
    """Quantiles of remote myocardium (50, SD 10) and of scar: no random numbers."""
    n = round(4000 * scar_share)
    remote, scar = ((np.arange(m) + 0.5) / m for m in (4000 - n, n))
    return np.concatenate([stats.norm.ppf(remote, 50, 10), stats.norm.ppf(scar, 50 + distance, scar_sd)])


@pytest.mark.parametrize("share", [0.2, 0.35])
def test_equal_spread_puts_the_mixture_threshold_at_the_closed_form(share):
    expected = 50 + 80 / 2 + 10**2 / 80 * np.log((1 - share) / share)
    assert gmm_threshold(two_normals(share, 80.0), hyperenhanced_from=100.0) == pytest.approx(expected, abs=0.15)


def test_the_mixture_is_that_of_scikit_learn():
    values = two_normals(0.25, 45.0, scar_sd=15.0)
    ours = fit_mixture(values)
    one, two = (
        GaussianMixture(n, tol=1e-10, max_iter=5000, reg_covar=0.0, random_state=0).fit(values[:, None]) for n in (1, 2)
    )
    order = np.argsort(two.means_[:, 0])
    np.testing.assert_allclose(ours.means, two.means_[order, 0], rtol=1e-3)
    np.testing.assert_allclose(ours.sds, np.sqrt(two.covariances_[order, 0, 0]), rtol=1e-3)
    np.testing.assert_allclose(ours.weights, two.weights_[order], rtol=2e-3)
    assert ours.bic_gain == pytest.approx(one.bic(values[:, None]) - two.bic(values[:, None]), rel=1e-5)


def test_a_mixture_needs_ten_voxels():
    assert fit_mixture(np.arange(9.0)) is None


def test_a_wide_component_of_about_the_same_mean_is_no_scar():
    values = np.concatenate([stats.norm.ppf(GRID, 50, 5), stats.norm.ppf(GRID, 60, 20)])
    assert fit_mixture(values).bic_gain > 10
    assert gmm_threshold(values, hyperenhanced_from=50 + 5 * 5) is None


def test_two_spreads_around_one_mean_are_found_and_are_no_scar():
    """Otsu's classes alone lead to a worse end, with means 30 apart."""
    mixture = fit_mixture(np.concatenate([stats.norm.ppf(GRID, 50, 5), stats.norm.ppf(GRID, 60, 20)]))
    np.testing.assert_allclose(mixture.means, [50, 60], atol=0.1)
    np.testing.assert_allclose(mixture.sds, [5, 20], rtol=0.01)
    np.testing.assert_allclose(mixture.weights, [0.5, 0.5], atol=0.01)
