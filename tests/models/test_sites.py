"""Scaling site by site, and whether site and class can be told apart."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm
from sklearn.utils.estimator_checks import parametrize_with_checks

from radiocard.errors import CohortError, UsageError
from radiocard.models.sites import SiteScaler, site_notes


@parametrize_with_checks([SiteScaler()])
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_each_site_gets_median_0_and_the_quartiles_of_a_standard_normal():
    rng = np.random.default_rng(0)
    s = np.repeat([0.0, 1.0], [41, 81])
    X = np.exp(rng.normal(size=(122, 3))) * np.where(s == 1, 9.0, 1.0)[:, None]
    out = SiteScaler(0).fit_transform(np.column_stack([s, X]))
    for site in (0, 1):
        low, middle, high = np.quantile(out[s == site], [0.25, 0.5, 0.75], axis=0)
        assert np.allclose(middle, 0, atol=1e-12)
        assert np.allclose(high - low, norm.ppf(0.75) - norm.ppf(0.25))


def test_a_site_with_other_units_reads_the_same():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 4))
    Z = np.vstack([np.column_stack([np.zeros(30), X]), np.column_stack([np.ones(30), 1000 * X + 7])])
    out = SiteScaler(0).fit_transform(Z)
    assert np.allclose(out[:30], out[30:])
    other = SiteScaler(0).fit(Z[:30]).with_site(Z[30:])
    assert np.allclose(other.transform(Z[30:]), out[30:])
    assert not other.notes_


def test_a_column_without_spread_is_only_centred():
    out = SiteScaler(0).fit_transform(np.column_stack([np.zeros(30), np.full(30, 5.0), np.arange(30)]))
    assert np.array_equal(out[:, 0], np.zeros(30))


def test_more_sick_patients_look_less_sick():
    rng = np.random.default_rng(2)
    y = rng.random(400) < 0.5
    X = rng.normal(size=(400, 1)) + 3 * y[:, None]
    Z = np.column_stack([np.zeros(400), X])
    few = SiteScaler(0).fit(np.vstack([Z[~y], Z[y][:40]])).transform(Z[y]).mean()
    many = SiteScaler(0).fit(np.vstack([Z[~y][:40], Z[y]])).transform(Z[y]).mean()
    assert many < few


def test_association_is_cramers_v():
    s = np.repeat(["a", "b"], 50)
    y = np.r_[np.repeat([0, 1], [40, 10]), np.repeat([0, 1], [10, 40])]
    note = site_notes(s, y)[0]
    chi2 = chi2_contingency([[40, 10], [10, 40]], correction=False).statistic
    assert f"V {np.sqrt(chi2 / 100):.2f}" in note
    assert "disease" in note


def test_sites_joined_by_a_chain_of_classes_are_accepted_and_loose_ones_refused():
    s = np.repeat(["a", "b", "c"], 40)
    chain = np.r_[np.tile([0, 1], 20), np.tile([1, 2], 20), np.tile([2, 3], 20)]
    assert len(site_notes(s, chain)) == 1
    loose = np.r_[np.tile([0, 1], 20), np.tile([0, 1], 20), np.tile([2, 3], 20)]
    with pytest.raises(CohortError, match="some sites share no class"):
        site_notes(s, loose)


def test_refusals():
    Z = np.column_stack([np.zeros(30), np.random.default_rng(3).normal(size=(30, 2))])
    with pytest.raises(UsageError, match="site_column is 5"):
        SiteScaler(5).fit(Z)
    scaler = SiteScaler(0).fit(Z)
    with pytest.raises(CohortError, match="Site 1 was not in training"):
        scaler.transform(Z + np.array([1, 0, 0]))
    with pytest.raises(CohortError, match="expected 2 or more of one new site"):
        scaler.with_site(Z)
    assert "fewer than 20" in scaler.with_site(Z[:5] + np.array([1, 0, 0])).notes_[0]
