import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from statsmodels.stats.proportion import proportion_confint

from radiocard.errors import UsageError
from radiocard.evaluation.coverage import coverage_law, detection, observed_coverage_law, set_coverage


@pytest.mark.parametrize(
    ("n", "alpha", "mean"), [(9, 0.1, 0.9), (100, 0.1, 91 / 101), (19, 0.05, 0.95), (50, 0.2, 41 / 51)]
)
def test_mean_of_the_coverage_law(n, alpha, mean):
    assert coverage_law(n, alpha).mean() == pytest.approx(mean)


def test_coverage_law_is_that_of_an_order_statistic():
    rng = np.random.default_rng(0)
    found = np.sort(rng.random((20000, 30)), axis=1)[:, 27]  # k = 28 of 30 uniform scores
    law = coverage_law(30, 0.1)
    for q in (0.05, 0.5, 0.95):
        assert np.quantile(found, q) == pytest.approx(law.ppf(q), abs=0.005)


def test_observed_coverage_is_wider_than_its_law():
    law, seen = coverage_law(50, 0.1), observed_coverage_law(50, 0.1, n_test=40)
    assert seen.mean() / 40 == pytest.approx(law.mean())
    assert seen.std() / 40 > law.std()


def test_no_law_below_the_fewest_cases():
    with pytest.raises(UsageError, match=r"8 calibration patients give no finite threshold at alpha 0.1"):
        coverage_law(8, 0.1)


def test_coverage_counts():
    sets = [[1, 0], [1, 1], [0, 0], [0, 1]]
    found = set_coverage(sets, [0, 1, 0, 0], range(4), classes=["A", "B"])
    assert found.all.value == 0.5
    assert found.by_class["A"].value == pytest.approx(1 / 3)
    assert found.by_class["B"].value == 1
    assert found.mean_size.value == 1
    assert found.sizes == (1, 2, 1)
    assert (found.all.low, found.all.high) == pytest.approx(proportion_confint(2, 4, method="wilson"))


def test_patients_of_one_group_count_once_in_n():
    found = set_coverage([[1, 0]] * 4, [0] * 4, [5, 5, 5, 7], classes=["A", "B"])
    assert found.all.n == found.by_class["A"].n == found.mean_size.n == 2


def test_a_class_that_no_set_can_hold_is_never_covered():
    found = set_coverage([[1, 1], [1, 1]], [-1, 0], [0, 1], classes=["A", "B"])
    assert found.all.value == 0.5
    assert found.by_class["B"].value is None


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"Sets have shape \(1, 2\); expected \(1, 3\)"):
        set_coverage([[1, 0]], [0], [0], classes=["A", "B", "C"])


def test_detection_by_hand():
    usual, other = np.array([0.05, 0.4, 0.6, 0.9]), np.array([0.02, 0.1, 0.4])
    found = detection(usual, other, level=0.1)
    assert found.flagged.value == pytest.approx(2 / 3)
    assert found.false_alarms.value == 0.25
    expected = mannwhitneyu(-other, -usual).statistic / 12
    assert found.auroc.value == pytest.approx(expected)
    assert (found.flagged.n, found.false_alarms.n) == (3, 4)


def test_detection_interval_holds_the_truth():
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(40):
        found = detection(rng.random(60), rng.random(60) ** 2, level=0.1, random_state=i).auroc
        hits += found.low <= 2 / 3 <= found.high  # P(U**2 < V) = 2/3
    assert hits >= 34


def test_detection_needs_both_sides():
    with pytest.raises(UsageError, match="0 patients of the training's kind and 1 others"):
        detection([], [0.5], level=0.1)
