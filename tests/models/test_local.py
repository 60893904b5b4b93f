"""Class mixes and few local cases."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from radiocard.errors import UsageError
from radiocard.models.local import FewShotRecalibrator, to_prevalence


def test_reweighting_is_bayes_rule_and_back():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 50)
    there = to_prevalence(p, [1, 1, 1], [0.7, 0.2, 0.1])
    odds = there[:, 0] / there[:, 1] / (p[:, 0] / p[:, 1])
    assert np.allclose(odds, 0.7 / 0.2)
    assert np.allclose(to_prevalence(there, [0.7, 0.2, 0.1], [1 / 3] * 3), p)
    with pytest.raises(UsageError, match="do not fit together"):
        to_prevalence(p, [1, 1], [0.5, 0.5])


def too_sure(n, seed=0, factor=3.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) * 1.5
    y = np.array([rng.choice(3, p=q) for q in softmax(logits, axis=1)])
    return softmax(factor * logits, axis=1), y


def test_many_cases_recover_the_planted_temperature():
    p, y = too_sure(4000)
    found = FewShotRecalibrator("temperature").fit(p, y)
    assert found.slope_ == pytest.approx(1 / 3, rel=0.1)
    assert found.n_ == 4000


def test_temperature_agrees_with_a_logistic_fit_of_one_slope():
    p, y = too_sure(300, factor=1.5)
    two, keep = p[:, :2] / p[:, :2].sum(axis=1, keepdims=True), y < 2
    x = np.log(two[keep, 1] / two[keep, 0])[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(x, y[keep]).coef_[0, 0]
    found = FewShotRecalibrator("temperature", spread=1e4).fit(two[keep], y[keep])
    assert found.slope_ == pytest.approx(slope, rel=1e-3)


def test_few_cases_stay_near_no_change():
    p, y = too_sure(4)
    tight = FewShotRecalibrator("temperature", spread=1e-3).fit(p, y)
    assert tight.slope_ == pytest.approx(1, abs=1e-3)
    assert np.allclose(FewShotRecalibrator("intercept", spread=1e-3).fit(p, y).predict_proba(p), p, atol=1e-3)


def test_intercepts_recover_a_planted_mix():
    p, y = too_sure(6000, factor=1.0)
    keep = (y != 0) | (np.random.default_rng(1).random(y.size) < 0.25)
    found = FewShotRecalibrator("intercept", spread=10.0).fit(p[keep], y[keep]).offset_
    assert found[1] - found[0] == pytest.approx(np.log(4), abs=0.2)
    q = FewShotRecalibrator("intercept", spread=10.0).fit(p[keep], y[keep]).predict_proba(p[keep])
    assert np.allclose(q.mean(axis=0), np.bincount(y[keep]) / keep.sum(), atol=0.01)


def test_prior_counts_with_as_many_pseudo_patients_as_classes():
    p, _ = too_sure(10)
    found = FewShotRecalibrator("prior", training=[20, 10, 10]).fit(p[:5], [0, 0, 0, 1, 1])
    # three pseudo-patients at the training mix: 1.5, 0.75, 0.75
    assert np.allclose(np.exp(found.offset_) * [0.5, 0.25, 0.25], np.array([4.5, 2.75, 0.75]) / 8)


def test_no_method_reorders_patients_within_a_pair_of_classes():
    p, y = too_sure(40)
    for method in ("temperature", "intercept", "prior"):
        q = FewShotRecalibrator(method, training=[1, 1, 1]).fit(p[:12], y[:12]).predict_proba(p)
        assert np.array_equal(np.argsort(q[:, 0] / q[:, 1]), np.argsort(p[:, 0] / p[:, 1]))


def test_refusals():
    p, y = too_sure(10)
    with pytest.raises(UsageError, match="expected class codes from 0"):
        FewShotRecalibrator().fit(p, y + 1 + y.max())
    with pytest.raises(UsageError, match="needs the class mix of training"):
        FewShotRecalibrator("prior").fit(p, y)
    with pytest.raises(UsageError, match="expected 'temperature', 'intercept' or 'prior'"):
        FewShotRecalibrator("magic").fit(p, y)
