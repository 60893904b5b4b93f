import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import UsageError
from radiocard.explain import audit as measures
from radiocard.models.assemble import make_bundle
from radiocard.models.selection import fit_best
from radiocard.specs import read_recipe
from radiocard.study import audit as study
from radiocard.study.audit import audit_explanations

STEPS = []


def few(name):
    """A shipped recipe with one candidate, and a glass box of few rounds."""
    recipe = read_recipe(name)
    fixed = dict(recipe.fixed) | ({"max_rounds": 60, "outer_bags": 1} if name == "ebm" else {})
    grid = {k: v[:1] for k, v in recipe.grid.items()}
    select = recipe.select.model_copy(update={"k": recipe.select.k[-1:]})
    return recipe.model_copy(update={"fixed": fixed, "grid": grid, "select": select})


def bundle(small_plan, *, signal, n=60, noise=8, seed=0):
    """Two classes; 'strong' tells them apart, 'twin' is its copy with noise, the rest is noise."""
    rng = np.random.default_rng(seed)
    y = np.array(["a", "b"])[np.arange(n) % 2]
    X = pd.DataFrame(rng.normal(size=(n, noise)), columns=[f"noise_{i}" for i in range(noise)])
    X["strong"] = rng.normal(size=n) + signal * (y == "b")
    X["twin"] = X["strong"] + 0.3 * rng.normal(size=n)
    X.index = pd.Index([f"p{i}" for i in range(n)], name="patient_id")
    groups = np.array(X.index)
    fitted = fit_best(few("logistic"), X, y, groups, inner_folds=3, random_state=0)
    evaluation = {"plan": small_plan.model_dump(mode="json", by_alias=True)}
    return make_bundle(
        [fitted],
        X,
        y,
        groups,
        target="d",
        pool="p",
        feature_spec={},
        feature_spec_hash="x",
        out_of_fold={"logistic": np.full((1, n, 2), 0.5)},
        evaluation=evaluation,
        simulated=True,
        seed=0,
    )


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "read_recipe", few)
        yield


@pytest.fixture(scope="module")
def found(small_plan, quick):
    model = bundle(small_plan, signal=2.5)
    return audit_explanations(model, top=2, tables=6, progress=lambda done, total: STEPS.append((done, total)))


def test_a_signal_is_found_again_and_matters(found):
    assert found.stability["folds"].refits == 6
    assert found.stability["folds"].overlap.value > 2 * found.stability["folds"].chance
    assert found.deletion.difference.low > 0
    assert "They matter more than chance." in " ".join(found.sentences)
    assert found.agreement["permutation"].value > 0.3
    assert found.planted.recovered.value > found.planted.chance
    assert found.planted.recovered.n == 6


def test_copies_are_one_group_and_lead(found):
    assert set(found.groups[0].columns) == {"strong", "twin"}
    assert sum(len(g.columns) for g in found.groups) == 10


def test_the_glass_box_is_asked_too(found):
    assert -1 <= found.agreement["ebm"].low <= found.agreement["ebm"].high <= 1


def test_intervals_rest_on_independent_patients(found):
    for e in (found.deletion.difference, found.agreement["permutation"], found.stability["folds"].rank):
        assert e.n == 60


def test_every_model_is_counted(found):
    assert [(i + 1, 18) for i in range(18)] == STEPS  # 6 refits, 3 seeds, 6 tables, 3 glass boxes


def test_it_is_plain_data(found):
    data = json.loads(json.dumps(found.to_dict()))
    assert data["schema"] == "radiocard/explanation-audit/1"
    assert data["sentences"] == list(found.sentences)


def test_noise_is_not_said_to_matter(small_plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    noise = audit_explanations(bundle(small_plan, signal=0.0, seed=5), top=2, repeats=1, tables=2)
    assert noise.deletion.difference.low <= 0
    assert "It is not shown that they matter more than chance." in " ".join(noise.sentences)
    assert "ebm" not in noise.agreement
    assert any("was not measured" in note for note in noise.notes)


def test_copies_of_a_patient_count_once(small_plan, quick):
    model = bundle(small_plan, signal=2.5, n=48)
    twins = replace(model, groups=np.arange(48) // 4 * 2 + np.arange(48) % 2)
    cohort = study._cohort(twins)
    assert cohort.n_independent == 24
    for refit in study._refits(cohort, few("logistic"), 1, study._Counter(None, 3)):
        assert not set(cohort.groups[refit.train]) & set(cohort.groups[refit.test])


def test_deletion_uses_held_out_patients_only(small_plan, quick, monkeypatch):
    cohort = study._cohort(bundle(small_plan, signal=2.5, n=48))
    refits = study._refits(cohort, few("logistic"), 1, study._Counter(None, 3))
    seen = []

    def spy(fitted, array, codes, **options):
        refit = next(r for r in refits if r.fitted is fitted)
        assert all(any(np.array_equal(row, cohort.array[i]) for i in refit.test) for row in array)
        seen.append(len(array))
        return np.zeros(len(array))

    monkeypatch.setattr(measures, "deletion_loss", spy)
    study._deletion(cohort, refits, 2)
    assert sum(seen) == 48 * (1 + study.RANDOM_SETS)


@pytest.mark.parametrize("wrong", [{"top": 10}, {"top": 0}, {"repeats": 0}, {"tables": 1}])
def test_what_cannot_be_measured_is_refused(small_plan, wrong):
    with pytest.raises(UsageError, match="expected fewer columns than all"):
        audit_explanations(bundle(small_plan, signal=1.0, n=24), **wrong)
