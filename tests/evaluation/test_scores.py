import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radiocard.evaluation.metrics import Predictions, from_probabilities
from radiocard.evaluation.scores import evaluate_frozen, score
from radiocard.specs import EvaluationPlan

CLASSES = ("A", "B", "C")


def make_plan(**changes):
    settings = {
        "schema": "radiocard/evaluation/1",
        "name": "test",
        "outer_folds": 3,
        "repeats": 2,
        "inner_folds": 3,
        "n_bootstrap": 200,
        "calibration_bins": 5,
        "random_state": 0,
    }
    return EvaluationPlan.model_validate(settings | changes)


def draw(n, rng, strength=2.0):
    codes = np.arange(n) % 3
    logits = rng.normal(size=(n, 3)) + strength * np.eye(3)[codes]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, np.array(CLASSES)[codes]


def test_perfect_model():
    y = np.repeat(CLASSES, 10)
    p = np.full((30, 3), 0.01)
    p[np.arange(30), np.repeat([0, 1, 2], 10)] = 0.98
    found = evaluate_frozen(p, y, classes=CLASSES, groups=None, plan=make_plan())
    assert found.metrics["accuracy"].value == 1.0
    assert 0.85 < found.metrics["accuracy"].low < 0.9
    assert found.metrics["macro_auc"].value == 1.0
    assert "cannot show" in found.metrics["macro_auc"].method
    assert found.metrics["calibration_slope"].value is None
    assert found.confusion.tolist() == [[10, 0, 0, 0], [0, 10, 0, 0], [0, 0, 10, 0]]
    assert all(found.per_class[c]["ppv"].value == 1.0 for c in CLASSES)


def test_noise_is_at_chance_within_the_interval():
    rng = np.random.default_rng(5)
    p, _ = draw(90, rng, strength=0.0)
    found = evaluate_frozen(p, np.repeat(CLASSES, 30), classes=CLASSES, groups=None, plan=make_plan())
    for metric, chance in (("accuracy", 1 / 3), ("balanced_accuracy", 1 / 3), ("macro_auc", 0.5)):
        assert found.metrics[metric].low <= chance <= found.metrics[metric].high


def test_auc_interval_covers():
    rng = np.random.default_rng(0)
    truth = roc_auc_score(*reversed(draw(6000, rng)), multi_class="ovr")
    inside = 0
    plan = make_plan()
    for _ in range(60):
        p, y = draw(60, rng)
        estimate = score_auc(p, y, plan)
        inside += estimate.low <= truth <= estimate.high
    assert inside / 60 >= 0.87


def score_auc(p, y, plan):
    from radiocard.evaluation import metrics
    from radiocard.evaluation.scores import Sample

    predictions = from_probabilities(p, y, classes=CLASSES)
    return Sample(predictions, plan).estimate(
        lambda w: metrics.auc(predictions.probabilities, predictions.y, w).mean(axis=1)
    )


def test_twins_and_repeats_add_nothing_to_n():
    rng = np.random.default_rng(0)
    p, y = draw(30, rng)
    plan = make_plan()
    once = evaluate_frozen(p, y, classes=CLASSES, groups=np.arange(30), plan=plan)
    twice = evaluate_frozen(
        p.repeat(2, axis=0), y.repeat(2), classes=CLASSES, groups=np.arange(30).repeat(2), plan=plan
    )
    assert twice.metrics["accuracy"] == once.metrics["accuracy"]
    assert twice.metrics["brier"].high == pytest.approx(once.metrics["brier"].high)
    assert "60 patients, of whom 30 are independent" in " ".join(twice.notes)
    repeated = score(
        "m", "M", from_probabilities(np.stack([p] * 4), y, classes=CLASSES, groups=np.arange(30)), plan=plan
    )
    for metric in ("accuracy", "macro_auc", "log_loss", "calibration_slope", "ece"):
        assert repeated.metrics[metric].low == pytest.approx(once.metrics[metric].low)


def test_a_rule_with_abstentions_has_no_probability_metrics():
    y = np.repeat([0, 1], 10)
    predicted = np.where(np.arange(20) % 5 == 0, -1, y)[None]
    found = score("rule", "Rule", Predictions(("A", "B"), y, np.arange(20), predicted, None), plan=make_plan())
    assert found.metrics["accuracy"].value == pytest.approx(0.8)
    assert found.metrics["abstained"].value == pytest.approx(0.2)
    assert found.metrics["accuracy_answered"].value == 1.0
    assert found.metrics["accuracy_answered"].n == 16
    assert "macro_auc" not in found.metrics
    assert any("20.0% of the patients; these count as wrong" in note for note in found.notes)


def test_a_class_without_patients_is_left_out_and_said():
    p, y = draw(30, np.random.default_rng(0))
    keep = y != "C"
    found = evaluate_frozen(p[keep], y[keep], classes=CLASSES, groups=None, plan=make_plan())
    assert found.per_class["C"]["sensitivity"].value is None
    assert found.metrics["macro_auc"].value is not None
    assert any("No patient of C" in note for note in found.notes)


def test_sentence_and_json():
    p, y = draw(60, np.random.default_rng(0))
    found = evaluate_frozen(p, y, classes=CLASSES, groups=None, plan=make_plan(), title="Test model")
    assert found.sentence().startswith("Test model: accuracy 0.")
    assert "n = 60 patients, Wilson interval" in found.sentence()
    assert "a perfectly calibrated model shows 0." in found.sentence("ece")
    again = evaluate_frozen(p, y, classes=CLASSES, groups=None, plan=make_plan(), title="Test model")
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert text == json.dumps(again.to_dict(), allow_nan=False)
    assert found.metrics["accuracy"].value == pytest.approx(sum(found.confusion[i, i] for i in range(3)) / 60)
