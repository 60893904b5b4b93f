import json
import os

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.evidence import accuracy_by, compare, score_nested, vote
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.nested import check_apart, nested_cv, rule_answers
from radiocard.evaluation.result import MAJORITY, RULE, RULE_NEAREST, SELECTED
from radiocard.specs import EvaluationPlan, ModelRecipe, RuleSpec


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


def make_recipe(name="logistic", grid=(0.1, 1.0), k=(2,)):
    return ModelRecipe.model_validate(
        {
            "schema": "radiocard/model-recipe/1",
            "name": name,
            "title": name.title(),
            "estimator": "logistic",
            "fixed": {"max_iter": 500},
            "grid": {"C": grid},
            "scale": "standard",
            "correlation_max": 0.95,
            "select": {"method": "anova", "k": k},
            "calibration": "none",
        }
    )


RULE_SPEC = RuleSpec.model_validate(
    {
        "schema": "radiocard/rule/1",
        "name": "toy",
        "title": "Toy rule",
        "citations": ["none"],
        "classes": [
            {
                "label": "DCM",
                "aliases": ["dcm"],
                "criteria": [{"at_least": 1, "of": [{"column": "signal", "op": "gt", "value": {"F": 1.0, "M": 2.0}}]}],
            },
            {
                "label": "NOR",
                "aliases": ["nor"],
                "criteria": [{"at_least": 1, "of": [{"column": "signal", "op": "lt", "value": 0.0}]}],
            },
        ],
    }
)


def make_table(n=48, shift=2.5, seed=0, classes=("DCM", "NOR")):
    rng = np.random.default_rng(seed)
    y = np.array([classes[i % len(classes)] for i in range(n)])
    X = pd.DataFrame(
        rng.normal(size=(n, 5)),
        columns=["noise_a", "noise_b", "noise_c", "noise_d", "signal"],
        index=pd.Index([f"p{i:02d}" for i in range(n)], name="patient_id"),
    )
    X["signal"] += np.where(y == "DCM", shift, -shift)
    X.iloc[::7, 0] = np.nan
    groups = np.array([f"g{i // 2 if i < 6 else i}" for i in range(n)])
    return X, y, groups


@pytest.fixture(scope="module")
def result():
    X, y, groups = make_table()
    recipes = [make_recipe("logistic"), make_recipe("other", grid=(1e-6,))]
    return nested_cv(X, y, groups, recipes=recipes, plan=make_plan(), rule=RULE_SPEC)


def test_every_patient_is_tested_once_per_repeat_and_groups_stay_together(result):
    assert sorted(set(result.fold_of.ravel().tolist())) == [0, 1, 2]
    for fold_of in result.fold_of:
        for g in np.unique(result.groups):
            assert len(set(fold_of[result.groups == g])) == 1
    assert (result.fold_of[0] != result.fold_of[1]).any()
    for p in result.probabilities.values():
        assert np.isfinite(p).all()
        assert p.sum(axis=2) == pytest.approx(np.ones((2, 48)))


def test_the_choice_is_made_inside_the_fold(result):
    assert result.chosen_counts() == {"logistic": 6, "other": 0}
    assert (result.probabilities[SELECTED] == result.probabilities["logistic"]).all()
    for fold in result.folds:
        assert fold.inner_log_loss[fold.chosen] == min(fold.inner_log_loss.values())
        assert set(fold.params["logistic"]) == {"model__C", "select__k"}
    assert result.selection_counts("logistic")["signal"] == 6


def test_baselines(result):
    majority = result.predictions(MAJORITY)
    assert (majority.probabilities == 0.5).all()
    X, _, _ = make_table()
    said = result.rule_answers[RULE]
    assert [(-1 if s == "none" else ["DCM", "NOR"].index(s)) for s in by_hand(X)] == said.tolist()
    assert (result.rule_answers[RULE_NEAREST] >= 0).all()
    assert (result.predictions(RULE).predicted == -1).any()
    assert result.predictions(RULE).probabilities is None


def by_hand(X):
    """Sex unknown: both cut-offs must agree."""
    out = []
    for v in X["signal"]:
        women = "DCM" if v > 1 else "NOR" if v < 0 else "none"
        men = "DCM" if v > 2 else "NOR" if v < 0 else "none"
        out.append(women if women == men else "none")
    return out


def test_same_bits_again(result):
    X, y, groups = make_table()
    recipes = [make_recipe("logistic"), make_recipe("other", grid=(1e-6,))]
    seen = []
    again = nested_cv(X, y, groups, recipes=recipes, plan=make_plan(), progress=lambda a, b: seen.append((a, b)))
    assert (again.probabilities["logistic"] == result.probabilities["logistic"]).all()
    assert seen == [(i, 6) for i in range(1, 7)]
    other = nested_cv(X, y, groups, recipes=recipes[:1], plan=make_plan(random_state=1))
    assert (other.fold_of != result.fold_of).any()


@pytest.mark.skipif(os.environ.get("RADIOCARD_REQUIRE") != "all", reason="not run: starts two processes")
def test_same_bits_in_two_processes(result):
    X, y, groups = make_table()
    again = nested_cv(X, y, groups, recipes=[make_recipe("logistic")], plan=make_plan(), n_jobs=2)
    assert (again.probabilities["logistic"] == result.probabilities["logistic"]).all()


def test_changing_test_rows_changes_nothing_fitted(result):
    X, y, groups = make_table()
    tested = np.flatnonzero(result.fold_of[0] == 0)
    changed = X.copy()
    changed.iloc[tested] = 1e6 + np.arange(len(tested))[:, None]
    again = nested_cv(changed, y, groups, recipes=[make_recipe("logistic")], plan=make_plan(repeats=1))
    before = next(f for f in result.folds if (f.repeat, f.fold) == (0, 0))
    assert again.folds[0].inner_log_loss["logistic"] == before.inner_log_loss["logistic"]
    assert again.folds[0].params["logistic"] == before.params["logistic"]
    assert again.folds[0].features["logistic"] == before.features["logistic"]
    one = X.copy()
    one.iloc[tested[0]] = 1e6
    partly = nested_cv(one, y, groups, recipes=[make_recipe("logistic")], plan=make_plan(repeats=1))
    rest = tested[1:]
    assert (partly.probabilities["logistic"][0, rest] == result.probabilities["logistic"][0, rest]).all()


def test_permuted_labels_give_chance_within_the_interval():
    X, _, _ = make_table(n=60)
    y = np.random.default_rng(3).permutation(np.repeat(["DCM", "NOR"], 30))
    plan = make_plan()
    found = nested_cv(X, y, X.index, recipes=[make_recipe(k=(5,))], plan=plan)
    accuracy = score_nested(found, plan=plan).scores[SELECTED].metrics["accuracy"]
    assert accuracy.low <= 0.5 <= accuracy.high
    assert accuracy.n == 60


def test_evidence(result):
    plan = make_plan()
    evidence = score_nested(result, plan=plan)
    assert list(evidence.scores) == [SELECTED, "logistic", "other", MAJORITY, RULE, RULE_NEAREST]
    accuracy = evidence.scores["logistic"].metrics["accuracy"]
    truth = np.array(result.classes)[result.y]
    named = [np.array(result.classes)[p.argmax(axis=1)] for p in result.probabilities["logistic"]]
    assert accuracy.value == pytest.approx(np.mean([accuracy_score(truth, n) for n in named]))
    assert accuracy.n == 45
    assert {c.baseline for c in evidence.comparisons} == {RULE_NEAREST}
    assert all(c.p_holm >= c.p for c in evidence.comparisons)
    assert evidence.scores[MAJORITY].metrics["calibration_slope"].value is None
    assert evidence.scores[MAJORITY].metrics["macro_auc"].value == pytest.approx(0.5)
    json.dumps(evidence.to_dict(), allow_nan=False)
    json.dumps(result.to_dict(), allow_nan=False)
    assert "3-fold" in evidence.design
    assert "repeated 2 times" in evidence.design


def test_out_of_fold_table_is_the_mean_over_repeats(result):
    table = result.out_of_fold(SELECTED)
    assert table.index.tolist() == list(result.ids)
    assert table.loc["p03", "NOR"] == pytest.approx(result.probabilities[SELECTED][:, 3, 1].mean())


def test_compare_by_hand():
    y, groups = np.zeros(12, dtype=int), np.arange(12)
    good = Predictions(("A", "B"), y, groups, np.zeros((1, 12), dtype=int), None)
    bad = Predictions(("A", "B"), y, groups, (np.arange(12) < 6).astype(int)[None], None)
    (found,) = compare({"good": good, "bad": bad}, "bad", plan=make_plan())
    assert (found.only_model, found.only_baseline) == (6, 0)
    assert found.difference.value == pytest.approx(0.5)
    assert found.p == pytest.approx(2 * 0.5**6)


def test_vote_over_repeats():
    said = np.array([[0, 1, -1], [0, 1, -1], [1, 1, 0]])
    rule = Predictions(("A", "B"), np.zeros(3, dtype=int), np.arange(3), said, None)
    assert vote(rule).tolist() == [0, 1, -1]


def test_accuracy_by_subgroup(result):
    p = result.predictions("logistic")
    site = np.where(np.arange(48) < 24, "site A", "site B")
    found = accuracy_by(p, site)
    assert list(found) == ["site A", "site B"]
    right = (p.predicted == p.y).mean(axis=0)
    assert found["site A"].value == pytest.approx(right[:24].mean())
    assert found["site A"].n == 21


def test_rule_that_does_not_fit_says_why():
    X, _, _ = make_table()
    answers, note = rule_answers(RULE_SPEC, X, classes=("DCM", "sepsis"))
    assert answers == {}
    assert "sepsis" in note


def test_rule_uses_the_sex_where_it_is_known():
    X = pd.DataFrame({"signal": [1.5, 1.5, 1.5]})
    answers, _ = rule_answers(RULE_SPEC, X, classes=("DCM", "NOR"), sex=["F", "M", None])
    assert answers[RULE].tolist() == [0, -1, -1]


def test_refuse_small_classes_before_any_work():
    X, _, _ = make_table(n=24)
    few = np.where(np.arange(24) < 2, "DCM", "NOR")
    with pytest.raises(CohortError, match="fewer patients than the 3 folds") as caught:
        nested_cv(X, few, np.arange(24), recipes=[make_recipe()], plan=make_plan())
    assert caught.value.code == "E_CLASS_COUNT"
    three = np.where(np.arange(24) < 3, "DCM", "NOR")
    with pytest.raises(CohortError, match="fewer patients of a class than the 3 inner folds: DCM 2, NOR"):
        nested_cv(X, three, np.arange(24), recipes=[make_recipe()], plan=make_plan())


def test_refuse_recipes_without_names_of_their_own():
    X, y, groups = make_table(n=24)
    with pytest.raises(UsageError, match="each with its own name, found: none"):
        nested_cv(X, y, groups, recipes=[], plan=make_plan())
    with pytest.raises(UsageError, match="found: logistic, logistic"):
        nested_cv(X, y, groups, recipes=[make_recipe(), make_recipe()], plan=make_plan())
    with pytest.raises(UsageError, match="found: selected"):
        nested_cv(X, y, groups, recipes=[make_recipe("selected")], plan=make_plan())


def test_refuse_a_group_on_both_sides():
    groups = np.array(["a", "a", "b"])
    with pytest.raises(LeakError, match="Group 'a' is on both sides of a fold"):
        check_apart(groups, np.array([0, 2]), np.array([1]))


def test_refuse_an_unknown_model(result):
    with pytest.raises(UsageError, match="no model 'nobody' in this result, which holds: selected"):
        result.predictions("nobody")
