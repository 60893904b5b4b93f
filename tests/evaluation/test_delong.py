import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.delong import auc_covariance, delong_test

# DeLong, DeLong & Clarke-Pearson (1988), as printed in the SAS/STAT documentation of PROC LOGISTIC, example
# "Comparing Receiver Operating Characteristic Curves": albumin, total protein, K-G score, benefit from surgery.
OVARIAN = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0   1.6 5.6  5 1
3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1   4.3 7.0  4 1   3.6 6.7  4 0
2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1   3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1
3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1   3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0
3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1   3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1
3.3 5.7  6 1   3.7 6.9  5 1   3.6 6.6  5 1
"""
PUBLISHED = {  # area, standard error, interval
    "albumin": (0.7366, 0.0927, 0.5549, 0.9182),
    "kg": (0.7258, 0.1028, 0.5243, 0.9273),
    "protein": (0.6478, 0.1000, 0.4518, 0.8439),
}


@pytest.fixture
def ovarian():
    albumin, protein, kg, benefit = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4).T
    return {"albumin": albumin, "kg": -kg, "protein": protein}, benefit == 1


def by_definition(scores, positive):
    """Return areas and covariance from all pairs of patients, in exact fractions."""
    wins = [[[Fraction(1 + int(np.sign(a - b)), 2) for b in row[~positive]] for a in row[positive]] for row in scores]
    m, n = int(positive.sum()), int((~positive).sum())
    auc = [sum(map(sum, w)) / (m * n) for w in wins]
    of_positive = [[sum(row) / n for row in w] for w in wins]
    of_negative = [[sum(column) / m for column in zip(*w, strict=True)] for w in wins]

    def spread(parts, r, s):
        size = len(parts[r])
        pairs = zip(parts[r], parts[s], strict=True)
        return sum((a - auc[r]) * (b - auc[s]) for a, b in pairs) / (size - 1) / size

    k = range(len(wins))
    covariance = [[float(spread(of_positive, r, s) + spread(of_negative, r, s)) for s in k] for r in k]
    return np.array([float(a) for a in auc]), np.array(covariance)


def test_the_ovarian_cancer_example_as_published(ovarian):
    scores, positive = ovarian
    for name, (area, error, low, high) in PUBLISHED.items():
        found = auc_covariance(scores[name], positive)
        estimate = found.estimate(0)
        told = (estimate.value, math.sqrt(found.covariance[0, 0]), estimate.low, estimate.high)
        assert told == pytest.approx((area, error, low, high), abs=6e-5)
    first = delong_test(scores["albumin"], scores["kg"], positive)
    assert (first.difference.value, first.z**2, first.p) == pytest.approx((0.0108, 0.0127, 0.9102), abs=6e-5)
    second = delong_test(scores["protein"], scores["kg"], positive)
    assert (second.difference.value, second.z**2, second.p) == pytest.approx((-0.0780, 0.5554, 0.4561), abs=6e-5)
    assert (second.difference.low, second.difference.high) == pytest.approx((-0.2830, 0.1271), abs=6e-5)


def test_the_joint_test_of_the_ovarian_cancer_example(ovarian):
    scores, positive = ovarian
    found = auc_covariance(np.stack([scores[k] for k in ("albumin", "kg", "protein")]), positive)
    contrast = np.array([[1, -1, 0], [0, -1, 1]])
    gap = contrast @ found.auc
    assert gap @ np.linalg.solve(contrast @ found.covariance @ contrast.T, gap) == pytest.approx(2.5340, abs=6e-5)


def test_equal_to_the_definition_in_fractions(ovarian):
    scores, positive = ovarian
    together = np.stack(list(scores.values()))
    auc, covariance = by_definition(together, positive)
    found = auc_covariance(together, positive)
    assert found.auc == pytest.approx(auc, abs=1e-12)
    assert found.covariance == pytest.approx(covariance, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_definition_with_ties(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(25) < 0.4
    scores = rng.integers(0, 6, size=(3, 25)) + positive
    auc, covariance = by_definition(scores, positive)
    found = auc_covariance(scores, positive)
    assert found.auc == pytest.approx(auc, abs=1e-12)
    assert found.covariance == pytest.approx(covariance, abs=1e-12)
    for row, area in zip(scores, found.auc, strict=True):
        assert area == pytest.approx(roc_auc_score(positive, row))
        u = mannwhitneyu(row[positive], row[~positive]).statistic
        assert area == pytest.approx(u / (positive.sum() * (~positive).sum()))


def test_a_binary_score_has_a_closed_form():
    """Of a yes-or-no score the area is (sensitivity + specificity) / 2, with binomial variances of both."""
    positive = np.repeat([True, False], [20, 30])
    said = np.r_[np.ones(15), np.zeros(5), np.ones(6), np.zeros(24)]
    found = auc_covariance(said, positive)
    assert found.auc[0] == pytest.approx((0.75 + 0.8) / 2)
    assert found.covariance[0, 0] == pytest.approx((0.75 * 0.25 / 19 + 0.8 * 0.2 / 29) / 4)


def test_interval_and_test_keep_their_level():
    rng = np.random.default_rng(0)
    positive = np.repeat([True, False], 40)
    truth = norm.cdf(1 / math.sqrt(2))
    covered = rejected = 0
    for _ in range(400):
        shared = rng.normal(size=80) + positive
        a, b = (shared * 0.6 + 0.8 * (rng.normal(size=80) + positive / 2) for _ in range(2))
        rejected += delong_test(a, b, positive).p < 0.05
        e = auc_covariance(rng.normal(size=80) + positive, positive).estimate(0)
        covered += e.low <= truth <= e.high
    assert 0.92 <= covered / 400 <= 0.98
    assert 0.02 <= rejected / 400 <= 0.08


def test_what_cannot_be_tested_is_said():
    positive = np.array([True, True, False, False])
    same = delong_test([4, 2, 3, 1], [8, 6, 7, 5], positive)
    assert (same.z, same.p, same.difference.value) == (0.0, 1.0, 0.0)
    perfect = delong_test([4, 3, 2, 1], [1, 2, 3, 4], positive)
    assert (perfect.z, perfect.p, perfect.difference.low) == (None, None, None)
    assert "not estimable" in perfect.difference.method
    assert perfect.adjusted(None).to_dict()["auc"]["value"] == 1.0


def test_bad_input_is_refused():
    with pytest.raises(UsageError, match="expected \\(k, n\\) finite scores"):
        auc_covariance([1, 2, float("nan"), 4], [True, True, False, False])
    with pytest.raises(UsageError, match="expected \\(k, n\\) finite scores"):
        auc_covariance([1, 2, 3], [True, False])
    with pytest.raises(CohortError, match="1 patients have the class and 3 do not"):
        auc_covariance([1, 2, 3, 4], [True, False, False, False])
