import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import log_loss

from radiocard.errors import UsageError
from radiocard.evaluation.increment import (
    answer,
    gains,
    mean_net_benefit,
    net_benefit_gains,
    step_scores,
    volume_correlations,
)
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.metrics import Predictions, from_probabilities
from radiocard.specs import EvaluationPlan, parse_as

PLAN = {
    "schema": "radiocard/evaluation/1",
    "name": "p",
    "outer_folds": 3,
    "repeats": 1,
    "inner_folds": 3,
    "n_bootstrap": 500,
    "calibration_bins": 5,
    "random_state": 0,
}


@pytest.fixture
def plan():
    return parse_as(EvaluationPlan, PLAN, "p")


@pytest.fixture
def steps():
    """A vague and a sharp model on 90 patients of three classes."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 30)
    truth = np.eye(3)[np.repeat([0, 1, 2], 30)]
    out = []
    for strength in (0.3, 3.0):
        score = strength * truth + 0.5 * rng.normal(size=(90, 3))
        p = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        out.append(from_probabilities(p, y, classes=("a", "b", "c")))
    return out


def test_a_gain_is_the_difference_of_the_scores_and_above_0_where_the_later_step_is_better(steps, plan):
    vague, sharp = steps
    found = gains(vague, sharp, plan=plan)
    one, two = (step_scores(s, plan=plan) for s in steps)
    for name, sign in (("log_loss", -1), ("brier", -1), ("macro_auc", 1), ("balanced_accuracy", 1)):
        assert found[name].value == pytest.approx(sign * (two[name].value - one[name].value))
        assert found[name].low > 0
    truth = log_loss(vague.y, vague.probabilities[0]) - log_loss(sharp.y, sharp.probabilities[0])
    assert found["log_loss"].value == pytest.approx(truth)
    assert found["log_loss"].n == 90


def test_pairing_narrows_the_interval_and_no_change_has_no_width(steps, plan):
    same = gains(steps[0], steps[0], plan=plan)["log_loss"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    back = gains(steps[1], steps[0], plan=plan)["log_loss"]
    assert back.value == pytest.approx(-gains(steps[0], steps[1], plan=plan)["log_loss"].value)


def test_interval_of_the_gain_in_log_loss_is_that_of_a_mean_of_differences(steps, plan):
    each = [-np.log(s.probabilities[0][np.arange(90), s.y]) for s in steps]
    difference = each[0] - each[1]
    within = np.mean([difference[steps[0].y == c].var() for c in range(3)])
    found = gains(*steps, plan=plan)["log_loss"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(within / 90), rel=0.15)


def test_a_rule_is_compared_by_its_answers_only(steps, plan):
    rule = Predictions(steps[0].classes, steps[0].y, steps[0].groups, steps[0].predicted, None)
    assert set(gains(rule, steps[1], plan=plan)) == {"balanced_accuracy"}
    with pytest.raises(UsageError, match="a rule gives none"):
        net_benefit_gains(rule, steps[1], plan=plan)


def test_other_patients_are_refused(steps, plan):
    other = Predictions(steps[0].classes, steps[0].y[::-1], steps[0].groups, steps[0].predicted, None)
    with pytest.raises(UsageError, match="not about the same patients"):
        gains(steps[0], other, plan=plan)


def test_net_benefit_of_two_classes_by_hand(plan):
    p = np.array([[0.3, 0.7], [0.6, 0.4], [0.2, 0.8], [0.9, 0.1]])
    y = np.array([1, 1, 0, 0])
    # At 0.25 class 1 is named in patients 1, 2, 3: (2 - 1/3) / 4; class 0 in 1, 2, 4: (1 - 2/3) / 4.
    found = mean_net_benefit(p[None], y, np.ones((1, 4)), np.array([0.25]))
    assert found[0, 0] == pytest.approx(((2 - 1 / 3) / 4 + (1 - 2 / 3) / 4) / 2)


def test_decision_curve_rises_where_the_model_is_better(steps, plan):
    found = net_benefit_gains(*steps, plan=plan, thresholds=(0.5,))
    assert found[0.5].low > 0


def test_correlation_with_the_volume_of_the_own_region():
    rng = np.random.default_rng(0)
    volumes = pd.DataFrame(rng.normal(size=(30, 2)), columns=["lv_cavity__cine_ed", "lv_cavity__cine_es"])
    table = pd.DataFrame(
        {
            "lv_cavity__cine_ed__original__cm_energy": -(volumes["lv_cavity__cine_ed"] ** 3),
            "lv_cavity__cine_es__original__cm_energy": rng.normal(size=30),
            "lv_cavity__cine_es__original__flat": 1.0,
            "lvef_pct": rng.normal(size=30),
        }
    )
    found = volume_correlations(table, volumes)
    assert found.iloc[0] == pytest.approx(-1)
    own = spearmanr(table.iloc[:, 1], volumes["lv_cavity__cine_es"]).statistic
    assert found["lv_cavity__cine_es__original__cm_energy"] == pytest.approx(own)
    assert np.isnan(found["lv_cavity__cine_es__original__flat"])
    assert "lvef_pct" not in found


UP, ZERO, DOWN = (Estimate(v, v - 0.05, v + 0.05, 80, "test") for v in (0.2, 0.01, -0.2))


@pytest.mark.parametrize(
    ("texture", "controls", "said"),
    [
        (UP, {}, "Texture adds to the step before; controls were not run."),
        (UP, {"shuffled": (ZERO, UP), "noise": (ZERO, UP)}, "the pattern of grey values counts."),
        (
            UP,
            {"shuffled": (UP, ZERO), "noise": (UP, ZERO)},
            "Texture adds to the step before; but the same texture from shuffled voxels and from regions filled with "
            "noise adds as much: it is region size, not texture.",
        ),
        (
            UP,
            {"shuffled": (UP, ZERO), "noise": (ZERO, UP)},
            "from shuffled voxels adds as much: it is the grey values of the region, not their pattern.",
        ),
        (UP, {"shuffled": (ZERO, ZERO), "noise": (ZERO, UP)}, "it is not shown to do better than the same texture"),
        (
            ZERO,
            {"shuffled": (ZERO, ZERO), "noise": (ZERO, ZERO)},
            "Texture adds nothing that can be shown, and does no better than the same texture from shuffled voxels",
        ),
        (DOWN, {"shuffled": (DOWN, ZERO)}, "Texture makes the answers worse"),
    ],
)
def test_the_sentence_says_when_controls_do_as_well(texture, controls, said):
    assert said in answer(texture, controls)
