"""Journeys between sites: no leak, planted site effects, what cannot be done."""

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation import transfer
from radiocard.evaluation.transfer import Settings, SiteCohort, leave_one_site_out, mix_sensitivity, site_matrix
from radiocard.models.travel import ADAPTATIONS, fit_travelling
from radiocard.specs import EvaluationPlan, read_as, read_recipe

PLAN = read_as(EvaluationPlan, "demo", "models").model_copy(update={"n_bootstrap": 100, "inner_folds": 2})
RECIPE = read_recipe("logistic").model_copy(update={"grid": {"C": (1.0,)}})
RECIPE = RECIPE.model_copy(update={"select": RECIPE.select.model_copy(update={"k": (8,)})})
SETTINGS = Settings(RECIPE, PLAN, "NOR")
CLASSES, SITES = np.array(["DCM", "HCM", "NOR"]), np.array(["A", "B", "C"])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("radiocard.evaluation.scores.SIMULATIONS", 20)


def cohort(n=240, seed=0, offset=2.0):
    """Three classes, two informative columns, a site offset that is as large as the classes are apart."""
    rng = np.random.default_rng(seed)
    y, s = CLASSES[rng.integers(0, 3, n)], SITES[rng.integers(0, 3, n)]
    X = rng.normal(size=(n, 8))
    X[:, 0] += 3 * (y == "DCM")
    X[:, 1] += 3 * (y == "HCM")
    X += offset * np.random.default_rng(99).normal(size=(3, 8))[np.searchsorted(SITES, s)]
    names = np.array([f"p{i}" for i in range(n)])
    return SiteCohort(pd.DataFrame(X, columns=[f"f{i}" for i in range(8)], index=names), y, names, s)


def mean_of(journeys):
    return np.mean([j.metrics["balanced_accuracy"].value for j in journeys])


def test_a_planted_offset_hurts_and_each_adaptation_repairs_it():
    data = cohort()
    score = {a: mean_of(leave_one_site_out(data, SETTINGS, adaptation=a)) for a in ADAPTATIONS}
    assert score["none"] < 0.75
    assert min(score[a] for a in ADAPTATIONS if a != "none") > 0.8
    clean = mean_of(leave_one_site_out(cohort(offset=0.0), SETTINGS, adaptation="none"))
    assert clean > 0.85


def test_each_site_is_tested_once_and_says_how():
    data = cohort()
    journeys = leave_one_site_out(data, SETTINGS, adaptation="site_scaling")
    assert [j.test for j in journeys] == ["A", "B", "C"]
    assert all(j.n_train + j.n_test == 240 and j.transductive for j in journeys)
    assert set(journeys[0].metrics) == set(transfer.SHOWN)
    assert journeys[0].to_dict()["adaptation_text"].endswith("(transductive)")


def test_reference_normals_are_not_scored():
    data = cohort()
    for journey in leave_one_site_out(data, SETTINGS, adaptation="combat_normals"):
        here = data.sites == journey.test
        normals = (here & (data.y == "NOR")).sum()
        assert journey.n_test == here.sum() - min(transfer.MOST_NORMALS, normals // 2)
        assert not journey.transductive


def test_labels_of_the_test_site_change_no_probability():
    data = cohort()
    here = data.sites == "B"
    other = SiteCohort(data.X, np.where(here, np.roll(data.y, 1), data.y), data.groups, data.sites)
    for adaptation in ("none", "combat_unlabelled", "site_scaling"):
        a, b = (leave_one_site_out(d, SETTINGS, adaptation=adaptation)[1] for d in (data, other))
        assert np.array_equal(a.predictions.probabilities, b.predictions.probabilities)


def test_an_inductive_answer_does_not_depend_on_the_other_test_patients():
    data = cohort()
    home, away = data.rows(data.sites == "B"), data.rows(data.sites != "B")
    model = fit_travelling(
        away.X, away.y, away.groups, away.sites, recipe=RECIPE, adaptation="none", inner_folds=2, random_state=0
    )
    whole = model.predict_proba(home.X, site="B")
    assert np.allclose(model.predict_proba(home.X.iloc[:1], site="B"), whole[:1], atol=1e-12)


def test_twins_across_sites_never_stand_on_both_sides():
    data = cohort()
    groups = data.groups.copy()
    a, b = np.flatnonzero(data.sites == "A")[0], np.flatnonzero(data.sites == "B")[0]
    groups[a] = groups[b]
    journeys = leave_one_site_out(SiteCohort(data.X, data.y, groups, data.sites), SETTINGS, adaptation="none")
    assert journeys[1].n_train == (data.sites != "B").sum() - 1
    assert "1 training patients share images" in journeys[1].notes[0]
    assert not any("share" in n for n in journeys[2].notes)


def test_the_matrix_has_a_cross_validated_diagonal():
    journeys = site_matrix(cohort(), SETTINGS, adaptation="none")
    assert [(j.train, j.test) for j in journeys] == [(a, b) for a in "ABC" for b in "ABC"]
    home = mean_of([j for j in journeys if j.train == j.test])
    assert home > mean_of([j for j in journeys if j.train != j.test]) + 0.1
    assert "cross-validation inside the site" in journeys[0].notes[0]


def test_the_diagonal_shows_chance_on_permuted_labels():
    data = cohort(n=360)
    y = np.random.default_rng(1).permutation(data.y)
    journeys = site_matrix(SiteCohort(data.X, y, data.groups, data.sites), SETTINGS, adaptation="none")
    home = [j for j in journeys if j.train == j.test]
    assert abs(mean_of(home) - 1 / 3) < 0.1  # 360 patients: standard error 0.025


def test_a_class_that_training_lacks_gets_probability_0():
    data = cohort(offset=0.0)
    keep = ~((data.sites == "A") & (data.y == "HCM"))
    journey = site_matrix(data.rows(keep), SETTINGS, adaptation="none")[1]
    assert journey.train == "A"
    assert (journey.predictions.probabilities[0][:, 1] == 0).all()


def test_the_class_mix_of_the_references_moves_the_answer():
    found = mix_sensitivity(cohort(n=450), SETTINGS, adaptation="site_scaling", test="B", draws=3)
    assert set(found) == {"even", "DCM", "HCM", "NOR"}
    assert found["even"] > max(found["DCM"], found["HCM"]) + 0.05


def test_what_cannot_be_done_says_why():
    data = cohort()
    lone = (data.sites != "A") | (data.y == "NOR")
    few = data.rows(lone & ((data.sites != "C") | (data.y == "NOR")))
    journeys = site_matrix(few, SETTINGS, adaptation="none")
    assert not journeys[0].metrics
    assert "one class only" in journeys[0].notes[0]
    y = np.where(data.sites == "A", data.y, np.char.add("other ", data.y))
    loose = SiteCohort(data.X, y, data.groups, data.sites)
    journeys = leave_one_site_out(loose, SETTINGS, adaptation="combat_unlabelled")
    assert "cannot be told apart" in journeys[1].notes[0]


def test_refusals():
    data = cohort()
    with pytest.raises(CohortError, match="expected at least 2"):
        leave_one_site_out(data.rows(data.sites == "A"), SETTINGS, adaptation="none")
    with pytest.raises(CohortError, match="as many classes, groups and sites"):
        SiteCohort(data.X, data.y[:3], data.groups, data.sites)

    def fit(adaptation="none", recipe=RECIPE, normal=None):
        return fit_travelling(
            data.X,
            data.y,
            data.groups,
            data.sites,
            recipe=recipe,
            adaptation=adaptation,
            inner_folds=2,
            random_state=0,
            normal=normal,
        )

    with pytest.raises(UsageError, match="Adaptation is 'magic'"):
        fit("magic")
    with pytest.raises(UsageError, match="calibrates in folds of its own"):
        fit(recipe=read_recipe("svm"))
    with pytest.raises(UsageError, match="class of the normals is None"):
        fit("combat_normals")
    model = fit("site_scaling")
    with pytest.raises(CohortError, match="Site 'Z' was not in training"):
        model.predict_proba(data.X, site="Z")
    with pytest.raises(CohortError, match="Site 'A' was in training"):
        model.at_site(data.X, site="A")
    with pytest.raises(CohortError, match="described by 1 patients"):
        model.at_site(data.X.iloc[:1], site="Z")
