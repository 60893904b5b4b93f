import json

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import log_loss, roc_auc_score

from radiocard.errors import UsageError
from radiocard.evaluation.comparison import compare_models, fold_differences, paired_difference
from radiocard.evaluation.comparison_result import CROSS_VALIDATED, Cost, Entrant
from radiocard.evaluation.delong import delong_test
from radiocard.evaluation.intervals import holm
from radiocard.evaluation.metrics import Predictions, accuracy, from_probabilities
from radiocard.evaluation.scores import Sample
from radiocard.specs import EvaluationPlan

CLASSES = ("A", "B", "C")
PLAN = EvaluationPlan.model_validate(
    {
        "schema": "radiocard/evaluation/1",
        "name": "test",
        "outer_folds": 3,
        "repeats": 1,
        "inner_folds": 3,
        "n_bootstrap": 300,
        "calibration_bins": 5,
        "random_state": 0,
    }
)


def told(n, strength, seed, *, classes=CLASSES, repeats=1, groups=None):
    codes = np.arange(n) % len(classes)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(repeats, n, len(classes))) + strength * np.eye(len(classes))[codes]
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return from_probabilities(p, np.array(classes)[codes], classes=classes, groups=groups)


def entrants(**models):
    return {name: Entrant(p) for name, p in models.items()}


@pytest.fixture(scope="module")
def three():
    models = entrants(ref=told(90, 1.5, 1), good=told(90, 3.0, 2), poor=told(90, 0.3, 3))
    return models, compare_models(models, reference="ref", plan=PLAN, positive="B", margin=0.05)


def test_differences_are_those_of_the_metrics(three):
    models, found = three
    y = models["ref"].predictions.y
    p = {k: e.predictions.probabilities[0] for k, e in models.items()}
    for name in ("good", "poor"):
        d = found.pairs[name].differences
        right = {k: (v.argmax(axis=1) == y).mean() for k, v in p.items()}
        assert d["accuracy"].value.value == pytest.approx(right[name] - right["ref"])
        assert d["log_loss"].value.value == pytest.approx(log_loss(y, p[name]) - log_loss(y, p["ref"]))
        area = roc_auc_score(y, p[name], multi_class="ovr") - roc_auc_score(y, p["ref"], multi_class="ovr")
        assert d["macro_auc"].value.value == pytest.approx(area)
        assert d["accuracy"].p is None
        assert d["log_loss"].value.low < d["log_loss"].value.value < d["log_loss"].value.high


def test_mcnemar_delong_and_margin_are_those_of_their_functions(three):
    models, found = three
    base = models["ref"].predictions
    of_class = base.y == 1
    for name, pair in found.pairs.items():
        p = models[name].predictions
        right, base_right = p.predicted[0] == p.y, base.predicted[0] == p.y
        only, only_ref = int((right & ~base_right).sum()), int((~right & base_right).sum())
        assert (pair.mcnemar.only_model, pair.mcnemar.only_reference, pair.mcnemar.n) == (only, only_ref, 90)
        assert pair.mcnemar.p == pytest.approx(binomtest(only, only + only_ref).pvalue)
        expected = delong_test(p.probabilities[0, :, 1], base.probabilities[0, :, 1], of_class)
        assert (pair.delong.z, pair.delong.p) == (expected.z, expected.p)
        assert pair.delong_note == "B against rest"
    assert found.pairs["good"].non_inferiority.shown
    assert not found.pairs["poor"].non_inferiority.shown


def test_p_values_are_adjusted_for_their_number(three):
    pairs = three[1].pairs
    assert [v.mcnemar.p_holm for v in pairs.values()] == holm([v.mcnemar.p for v in pairs.values()])
    assert [v.delong.p_holm for v in pairs.values()] == holm([v.delong.p for v in pairs.values()])
    drawn = [d for v in pairs.values() for d in v.differences.values() if d.p is not None]
    assert len(drawn) == 8
    assert [d.p_holm for d in drawn] == holm([d.p for d in drawn])


def test_a_model_against_its_copy_differs_in_nothing():
    models = entrants(ref=told(60, 1.0, 1), copy=told(60, 1.0, 1))
    pair = compare_models(models, reference="ref", plan=PLAN, positive="A").pairs["copy"]
    assert all((d.value.value, d.value.low, d.value.high) == (0, 0, 0) for d in pair.differences.values())
    assert {d.p for d in pair.differences.values()} == {None, 1.0}
    assert (pair.mcnemar.p, pair.delong.p) == (1.0, 1.0)
    assert (pair.agreement.share.value, pair.agreement.kappa.value) == (1.0, 1.0)
    moved = pair.reclassification
    assert (moved.corrected, moved.spoilt, moved.still_wrong) == (0, 0, 0)


def test_two_equal_models_are_seldom_told_apart():
    rejected = 0
    for seed in range(60):
        a, b = told(60, 1.0, 2 * seed), told(60, 1.0, 2 * seed + 1)
        _, p = paired_difference(accuracy, a, b, Sample(b, PLAN))
        rejected += p < 0.05
    assert rejected <= 8


def test_pairing_is_tighter_than_two_separate_intervals():
    base = told(120, 1.5, 1)
    p = base.probabilities * 0.9 + 0.1 / 3
    near = Predictions(base.classes, base.y, base.groups, p.argmax(axis=2), p)
    found = compare_models(entrants(ref=base, near=near), reference="ref", plan=PLAN)
    d = found.pairs["near"].differences["log_loss"].value
    alone = found.scores["ref"].metrics["log_loss"]
    assert d.high - d.low < 0.5 * (alone.high - alone.low)


def test_twins_count_once():
    groups = np.arange(60)
    once = compare_models(entrants(a=told(60, 1.0, 1), b=told(60, 2.0, 2)), reference="a", plan=PLAN, positive="A")

    def doubled(p):
        q = p.probabilities.repeat(2, axis=1)
        return Predictions(p.classes, p.y.repeat(2), groups.repeat(2), q.argmax(axis=2), q)

    twice = entrants(a=doubled(told(60, 1.0, 1)), b=doubled(told(60, 2.0, 2)))
    again = compare_models(twice, reference="a", plan=PLAN, positive="A")
    assert (again.n_patients, again.n_groups) == (120, 60)
    one, two = once.pairs["b"], again.pairs["b"]
    assert two.mcnemar == one.mcnemar
    assert two.delong == one.delong
    assert two.agreement == one.agreement
    assert two.differences["brier"].value.high == pytest.approx(one.differences["brier"].value.high)


def test_two_classes_need_no_named_class():
    models = entrants(a=told(50, 0.5, 1, classes=("no", "yes")), b=told(50, 1.5, 2, classes=("no", "yes")))
    found = compare_models(models, reference="a", plan=PLAN)
    assert found.pairs["b"].delong_note == "yes against rest"
    assert list(found.decision) == ["yes"]
    turned = compare_models(models, reference="a", plan=PLAN, positive="no")
    assert list(turned.decision) == ["no"]
    assert turned.pairs["b"].delong.p == pytest.approx(found.pairs["b"].delong.p)


def test_no_delong_without_a_named_class_or_over_folds():
    models = entrants(a=told(60, 0.5, 1), b=told(60, 1.5, 2))
    pair = compare_models(models, reference="a", plan=PLAN).pairs["b"]
    assert pair.delong is None
    assert "name the one against the rest beforehand" in pair.delong_note
    assert pair.non_inferiority is None
    models["b"] = Entrant(models["b"].predictions, CROSS_VALIDATED)
    pair = compare_models(models, reference="a", plan=PLAN, positive="A").pairs["b"]
    assert "different folds come from different models" in pair.delong_note
    repeated = entrants(a=told(60, 0.5, 1), b=told(60, 1.5, 2, repeats=2))
    assert compare_models(repeated, reference="a", plan=PLAN, positive="A").pairs["b"].delong is None


def test_no_delong_for_a_class_of_one_patient():
    y = np.r_[0, np.ones(9, dtype=int), np.full(10, 2)]
    p = np.full((20, 3), 1 / 3)
    both = from_probabilities(p, np.array(CLASSES)[y], classes=CLASSES)
    pair = compare_models(entrants(a=both, b=both), reference="a", plan=PLAN, positive="A").pairs["b"]
    assert pair.delong is None
    assert "fewer than two patients" in pair.delong_note


def test_a_rule_has_answers_only():
    base = told(60, 1.5, 1)
    rule = Predictions(CLASSES, base.y, base.groups, np.where(np.arange(60) % 4 == 0, -1, base.y)[None], None)
    found = compare_models(entrants(a=base, rule=rule), reference="a", plan=PLAN, positive="A")
    pair = found.pairs["rule"]
    assert set(pair.differences) == {"accuracy", "balanced_accuracy"}
    assert "gives no probabilities" in pair.delong_note
    assert pair.reclassification.labels[-1] == "no answer"
    assert "rule" not in found.decision["A"].models


def test_fold_differences_by_hand():
    a, b = told(30, 0.5, 1, repeats=2), told(30, 2.0, 2, repeats=2)
    folds = np.stack([np.arange(30) % 3, np.arange(30) // 10])
    found = fold_differences(accuracy, b, a, folds)
    expected = [
        (b.predicted[r] == b.y)[folds[r] == f].mean() - (a.predicted[r] == a.y)[folds[r] == f].mean()
        for r in range(2)
        for f in range(3)
    ]
    assert found == pytest.approx(expected)


def test_models_tested_in_the_same_folds_get_the_corrected_interval():
    folds = np.stack([np.arange(60) % 3, np.arange(60) // 20])
    models = {
        "a": Entrant(told(60, 0.5, 1, repeats=2), CROSS_VALIDATED, folds),
        "b": Entrant(told(60, 2.0, 2, repeats=2), CROSS_VALIDATED, folds),
        "other": Entrant(told(60, 2.0, 3, repeats=2), CROSS_VALIDATED, folds[::-1]),
    }
    found = compare_models(models, reference="a", plan=PLAN)
    over = found.pairs["b"].over_folds
    assert set(over) == {"accuracy", "log_loss"}
    assert over["accuracy"].folds == 6
    d = fold_differences(accuracy, models["b"].predictions, models["a"].predictions, folds)
    assert over["accuracy"].t == pytest.approx(d.mean() / np.sqrt((1 / 6 + 20 / 40) * d.var(ddof=1)))
    assert found.pairs["other"].over_folds == {}


def test_everything_is_plain_data_and_repeatable(three):
    models, found = three
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = compare_models(models, reference="ref", plan=PLAN, positive="B", margin=0.05)
    assert text == json.dumps(again.to_dict(), allow_nan=False)
    assert found.to_dict()["models"]["good"]["cost_per_case"] == Cost().to_dict()


def test_models_must_fit_together():
    base = told(60, 1.0, 1)
    with pytest.raises(UsageError, match="expected two or more, with the reference 'a' among them"):
        compare_models(entrants(a=base), reference="a", plan=PLAN)
    with pytest.raises(UsageError, match="with the reference 'x' among them"):
        compare_models(entrants(a=base, b=base), reference="x", plan=PLAN)
    with pytest.raises(UsageError, match="There is no class 'Z'; the classes are A, B, C"):
        compare_models(entrants(a=base, b=base), reference="a", plan=PLAN, positive="Z")
    with pytest.raises(UsageError, match="'b' and 'a' differ in classes, patients or groups"):
        compare_models(entrants(a=base, b=told(57, 1.0, 1)), reference="a", plan=PLAN)
    with pytest.raises(UsageError, match="expected a loss of accuracy above 0"):
        compare_models(entrants(a=base, b=base), reference="a", plan=PLAN, margin=1.5)
