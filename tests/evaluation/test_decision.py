import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.evaluation.decision import THRESHOLDS, decision_curve, net_benefit
from radiocard.evaluation.metrics import Predictions, from_probabilities
from radiocard.evaluation.scores import Sample
from radiocard.specs import EvaluationPlan

CLASSES = ("A", "B")
PLAN = EvaluationPlan.model_validate(
    {
        "schema": "radiocard/evaluation/1",
        "name": "test",
        "outer_folds": 3,
        "repeats": 1,
        "inner_folds": 3,
        "n_bootstrap": 200,
        "calibration_bins": 5,
        "random_state": 0,
    }
)


def binary(p, y):
    return from_probabilities(np.column_stack([1 - p, p]), np.where(y, "B", "A"), classes=CLASSES)


@pytest.fixture
def patients():
    rng = np.random.default_rng(3)
    y = rng.random(80) < 0.3
    return y, np.clip(0.3 + 0.25 * (y - 0.3) + rng.normal(0, 0.15, 80), 0.01, 0.99), rng.random(80)


def test_net_benefit_by_counting(patients):
    y, p, _ = patients
    found = net_benefit(p[None], y, np.ones((1, 80)), THRESHOLDS)[0]
    for t, value in zip(THRESHOLDS, found, strict=True):
        acted = p >= t
        assert value == pytest.approx((acted & y).sum() / 80 - (acted & ~y).sum() / 80 * t / (1 - t), abs=1e-12)


def test_a_resample_is_a_data_set(patients):
    y, p, _ = patients
    weights = np.random.default_rng(0).multinomial(80, np.full(80, 1 / 80), size=3).astype(float)
    found = net_benefit(p[None], y, weights, np.array([0.2, 0.5]))
    for row, w in zip(found, weights.astype(int), strict=True):
        again = net_benefit(p.repeat(w)[None], y.repeat(w), np.ones((1, w.sum())), np.array([0.2, 0.5]))[0]
        assert row == pytest.approx(again)


def test_a_perfect_model_gains_the_prevalence_and_knowing_nothing_is_one_of_the_extremes(patients):
    y, *_ = patients
    n = np.full(80, y.mean())
    told = {"perfect": binary(y.astype(float), y), "constant": binary(n, y)}
    curve = decision_curve(told, "B", reference="constant", sample=Sample(told["constant"], PLAN))
    assert curve.models["perfect"] == pytest.approx(np.full(99, y.mean()))
    below = y.mean() >= THRESHOLDS
    assert curve.models["constant"] == pytest.approx(np.where(below, curve.treat_all, 0.0))
    assert curve.useful("constant") == []
    assert curve.useful("perfect") == [(0.01, 0.99)]


def test_treating_all_breaks_even_at_the_prevalence():
    y = np.arange(100) < 25
    told = {k: binary(np.full(100, 0.25), y) for k in ("a", "b")}
    curve = decision_curve(told, "B", reference="a", sample=Sample(told["a"], PLAN))
    assert curve.treat_all[THRESHOLDS == 0.25] == pytest.approx(0.0)
    assert curve.prevalence == 0.25


def test_differences_are_paired(patients):
    y, p, noise = patients
    told = {"ref": binary(noise, y), "same": binary(noise, y), "good": binary(p, y)}
    curve = decision_curve(told, "B", reference="ref", sample=Sample(told["ref"], PLAN))
    assert all((e.value, e.low, e.high) == (0, 0, 0) for e in curve.differences["same"])
    assert set(curve.differences) == {"same", "good"}
    at = int(np.flatnonzero(THRESHOLDS == 0.3)[0])
    e = curve.differences["good"][at]
    assert e.value == pytest.approx(curve.models["good"][at] - curve.models["ref"][at])
    assert e.low < e.value < e.high
    assert len(curve.to_dict()["differences"]["good"]) == 99


def test_a_model_without_probabilities_is_left_out(patients):
    y, p, _ = patients
    base = binary(p, y)
    rule = Predictions(CLASSES, base.y, base.groups, base.predicted, None)
    curve = decision_curve({"rule": rule, "model": base}, "B", reference="rule", sample=Sample(base, PLAN))
    assert set(curve.models) == {"model"}
    assert curve.differences == {}


def test_bad_thresholds_and_classes_are_refused(patients):
    y, p, _ = patients
    with pytest.raises(UsageError, match="expected above 0 and below 1"):
        net_benefit(p[None], y, np.ones((1, 80)), np.array([0.5, 1.0]))
    with pytest.raises(UsageError, match="There is no class 'C'; the classes are A, B"):
        decision_curve({"m": binary(p, y)}, "C", reference="m", sample=Sample(binary(p, y), PLAN))
