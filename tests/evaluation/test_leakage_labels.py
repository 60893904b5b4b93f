import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from radiocard.errors import LeakError, UsageError
from radiocard.evaluation import leakage_labels
from radiocard.evaluation.leakage_labels import (
    audit_labels,
    macro_auc,
    mean_of_permutations,
    permutation_p,
    permute_groups,
    select_first,
)
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.nested import nested_cv
from radiocard.specs import EvaluationPlan, ModelRecipe

PLAN = EvaluationPlan.model_validate(
    {
        "schema": "radiocard/evaluation/1",
        "name": "test",
        "outer_folds": 5,
        "repeats": 1,
        "inner_folds": 2,
        "n_bootstrap": 200,
        "calibration_bins": 5,
        "random_state": 0,
    }
)


def make_recipe(estimator="logistic", k=10, **changes):
    settings = {
        "schema": "radiocard/model-recipe/1",
        "name": estimator,
        "title": estimator.title(),
        "estimator": estimator,
        "fixed": {"max_iter": 500, "C": 1.0},
        "grid": {},
        "scale": "standard",
        "correlation_max": 1.0,
        "select": {"method": "anova", "k": (k,)} if k else {"method": "none"},
        "calibration": "none",
    }
    return ModelRecipe.model_validate(settings | changes)


SMALL = [
    make_recipe(),
    make_recipe("svc_rbf", fixed={"C": 1.0, "gamma": "scale"}, calibration="sigmoid"),
    make_recipe("random_forest", fixed={"n_estimators": 10, "max_depth": 3}),
    make_recipe("xgboost", k=0, fixed={"n_estimators": 5, "max_depth": 2}),
]


def noise(seed, n=80, p=1000):
    ids = [f"p{i:02d}" for i in range(n)]
    X = pd.DataFrame(np.random.default_rng(seed).normal(size=(n, p)), index=ids)
    return X.rename(columns=lambda c: f"c{c:04d}"), np.repeat(["a", "b"], n // 2), np.array(ids)


def test_selection_outside_the_folds_finds_on_noise_what_selection_inside_does_not():
    inside, outside = [], []
    for seed in range(4):
        X, y, groups = noise(seed)
        recipe = make_recipe(k=10)
        inside.append(macro_auc(nested_cv(X, y, groups, recipes=[recipe], plan=PLAN).predictions("logistic")))
        told, columns = select_first(recipe, X, y, groups, plan=PLAN)
        outside.append(macro_auc(told))
        assert len(columns) == 10
    assert np.mean(inside) == pytest.approx(0.5, abs=0.12)
    assert np.mean(outside) == pytest.approx(0.87, abs=0.06)
    assert min(outside) > 0.7
    assert np.mean(np.subtract(outside, inside)) > 0.2


@pytest.fixture(scope="module")
def audit():
    X, y, groups = noise(1, n=40, p=60)
    groups[1], groups[21] = groups[0], groups[20]
    X["c0000"] += np.where(y == "a", 1.5, -1.5)
    steps = []
    options = {"recipes": SMALL, "plan": PLAN, "n_permutations": 5}
    found = audit_labels(X, y, groups, **options, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i + 1, 6) for i in range(6)]
    return found


def test_permuted_labels_are_at_chance_for_every_model(audit):
    assert [p.model for p in audit.permuted] == ["selected", "logistic", "svc_rbf", "random_forest", "xgboost"]
    for score in audit.permuted:
        assert score.verdict == "at chance", score
        assert score.permuted.n == 38
        assert "5 permutations" in score.permuted.method
    assert audit.permuted[1].p == pytest.approx(1 / 6)
    assert audit.permuted[1].observed.value > 0.8


def test_the_counterfactual_tells_both_figures_for_recipes_that_choose(audit):
    assert [c.model for c in audit.counterfactuals] == ["logistic", "svc_rbf", "random_forest"]
    for c in audit.counterfactuals:
        assert c.optimism.value == pytest.approx(c.outside.value - c.inside.value)
        assert c.permuted_outside.low > 0.5  # the fault shows on labels that mean nothing
        assert c.permuted_optimism.low > 0
        assert c.permuted_outside.value - c.permuted_inside.value == pytest.approx(c.permuted_optimism.value)
        assert c.n_chosen == 10
        assert c.inside.value == pytest.approx(next(p.observed.value for p in audit.permuted if p.model == c.model))


def test_a_pipeline_that_leaks_is_above_chance(monkeypatch):
    X, y, groups = noise(2, n=40, p=200)
    honest = nested_cv

    def leaky(X, y, groups, **options):
        best = leakage_labels.fit_best(make_recipe(), X, y, groups, inner_folds=2, random_state=0).final_columns
        return honest(X[list(best)], y, groups, **options)

    monkeypatch.setattr(leakage_labels, "nested_cv", leaky)
    found = audit_labels(X, y, groups, recipes=[make_recipe()], plan=PLAN, n_permutations=5)
    assert [p.verdict for p in found.permuted] == ["above chance", "above chance"]


def test_permutation_moves_whole_groups_and_reaches_every_arrangement():
    y, groups = ["a", "a", "b", "c"], ["g", "g", "h", "i"]
    rng = np.random.default_rng(0)
    seen = {tuple(permute_groups(y, groups, rng=rng).tolist()) for _ in range(200)}
    assert seen == {(g, g, h, i) for g, h, i in itertools.permutations("abc")}
    with pytest.raises(LeakError, match="Group 'g' holds patients of several classes"):
        permute_groups(["a", "b"], ["g", "g"], rng=rng)


def test_interval_and_p_value_are_the_textbook_ones():
    draws = [0.4, 0.55, 0.52, 0.47, 0.61]
    told = mean_of_permutations(draws, n_groups=30)
    low, high = ttest_1samp(draws, 0.5).confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((low, high))
    low, high = ttest_1samp(draws, 0.5).confidence_interval(1 - 0.05 / 4)
    assert mean_of_permutations(draws, n_groups=30, n_models=4).low == pytest.approx(low)
    assert permutation_p(0.55, draws) == pytest.approx(3 / 6)
    assert permutation_p(0.9, draws) == pytest.approx(1 / 6)


def test_macro_auc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 50)
    p = rng.dirichlet(np.ones(3), 50)
    told = Predictions(("a", "b", "c"), y, np.arange(50), p.argmax(axis=1)[None], p[None])
    assert macro_auc(told) == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
    with pytest.raises(UsageError, match="needs probabilities"):
        macro_auc(Predictions(("a", "b", "c"), y, np.arange(50), y[None], None))


def test_too_few_permutations_are_refused():
    X, y, groups = noise(0, n=20, p=3)
    with pytest.raises(UsageError, match="1 permutations, expected at least 2"):
        audit_labels(X, y, groups, recipes=[make_recipe()], plan=PLAN, n_permutations=1)
