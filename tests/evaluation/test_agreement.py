import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from radiocard.errors import UsageError
from radiocard.evaluation.agreement import agreement, reclassification


def test_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 100)
    b = np.where(rng.random(100) < 0.6, a, rng.integers(0, 3, 100))
    found = agreement(a, b)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(a, b))
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert found.share.value == pytest.approx((a == b).mean())


def test_kappa_of_a_worked_example():
    """Two readers of 50 proposals, both yes 20, both no 15: kappa 0.4."""
    a = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    b = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert agreement(a, b).kappa.value == pytest.approx(0.4)
    assert agreement(a, b).to_dict()["share"]["value"] == pytest.approx(0.7)


def test_kappa_interval_covers():
    """Same marginals, agreement beyond chance by construction: kappa is the share of copied answers."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        a = rng.integers(0, 2, 80)
        b = np.where(rng.random(80) < 0.5, a, rng.integers(0, 2, 80))
        e = agreement(a, b).kappa
        covered += e.low <= 0.5 <= e.high
    assert 0.91 <= covered / 300 <= 0.99


def test_kappa_is_not_defined_for_one_answer_and_has_no_interval_where_all_agree():
    assert agreement([1, 1, 1], [1, 1, 1]).kappa.value is None
    same = agreement([0, 1, 1, 0], [0, 1, 1, 0])
    assert same.kappa.value == 1.0
    assert same.kappa.low is None
    assert same.share.low < 1
    y = np.arange(120) % 3  # rounding makes the variance slightly negative
    assert agreement(y, y).kappa.low is None


def test_reclassification_by_hand():
    y = [0, 0, 0, 1, 1, 1]
    reference = [0, 1, 1, 1, 0, -1]
    model = [0, 0, 2, 0, 2, 1]
    found = reclassification(reference, model, y, classes=("A", "B", "C"))
    assert (found.corrected, found.spoilt, found.still_wrong) == (2, 1, 2)
    assert found.labels == ("A", "B", "C", "no answer")
    assert found.by_truth["A"].tolist() == [[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.by_truth["B"][3, 1] == 1
    assert sum(t.sum() for t in found.by_truth.values()) == 6
    assert "not tested" in found.to_dict()["note"]


def test_what_changes_is_the_difference_in_accuracy():
    rng = np.random.default_rng(0)
    y, a, b = rng.integers(0, 3, (3, 60))
    found = reclassification(a, b, y, classes=("A", "B", "C"))
    assert found.corrected - found.spoilt == (b == y).sum() - (a == y).sum()
    assert found.labels == ("A", "B", "C")


def test_lengths_must_agree():
    with pytest.raises(UsageError, match="There are 2 and 3 answers"):
        agreement([0, 1], [0, 1, 1])
    with pytest.raises(UsageError, match="expected one of each model for each patient"):
        reclassification([], [], [], classes=("A",))
