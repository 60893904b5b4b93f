import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radiocard.evaluation.curves import all_curves, precision_recall_points, reliability_bins, roc_points
from radiocard.evaluation.metrics import Predictions, from_probabilities


def test_perfect_curves():
    scores, positive = np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([True, True, False, False])
    assert roc_points(scores, positive)[:2] == [(0.0, 0.0), (0.0, 1.0)]
    assert all(precision == 1.0 for _, precision in precision_recall_points(scores, positive))


def test_area_under_the_points_is_the_auc():
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.4
    scores = rng.normal(size=(3, 400)) + positive
    x, y = np.array(roc_points(scores, positive)).T
    expected = np.mean([roc_auc_score(positive, s) for s in scores])
    assert np.trapezoid(y, x) == pytest.approx(expected, abs=0.01)


def test_precision_of_a_constant_score_is_the_prevalence():
    points = precision_recall_points(np.zeros((1, 10)), np.arange(10) < 3)
    assert [p for _, p in points] == pytest.approx([0.3] * 100)


def test_no_curve_without_both_sides():
    assert roc_points(np.zeros((1, 3)), np.zeros(3, dtype=bool)) == []
    assert precision_recall_points(np.zeros((1, 3)), np.ones(3, dtype=bool)) == []


def test_reliability_bins_hold_equal_mass_and_count_patients_once():
    rng = np.random.default_rng(0)
    p = rng.random((3, 100))
    bins = reliability_bins(p, rng.random((3, 100)) < p, bins=10, n=100)
    assert len(bins) == 10
    assert [b["n"] for b in bins] == pytest.approx([10.0] * 10)
    assert sum(b["low"] <= b["predicted"] <= b["high"] for b in bins) >= 8


def test_a_constant_prediction_has_one_bin():
    (only,) = reliability_bins(np.full((1, 10), 0.2), np.arange(10)[None] < 2, bins=10, n=10)
    assert (only["predicted"], only["observed"], only["n"]) == pytest.approx((0.2, 0.2, 10))


def test_curves_by_class_and_none_for_a_rule():
    rng = np.random.default_rng(0)
    y = np.array(["A", "B"])[rng.integers(0, 2, 30)]
    predictions = from_probabilities(rng.dirichlet([1, 1], 30), y, classes=("A", "B"))
    curves = all_curves(predictions, bins=5)
    assert set(curves["roc"]) == {"A", "B"}
    assert len(curves["reliability"]) == 5
    rule = Predictions(("A", "B"), predictions.y, predictions.groups, predictions.predicted, None)
    assert all_curves(rule, bins=5) == {}
