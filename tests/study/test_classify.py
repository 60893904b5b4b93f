from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

import radiocard.study.classify as study  # noqa: E402
from radiocard.errors import CohortError  # noqa: E402
from radiocard.evaluation.nested import nested_cv  # noqa: E402
from radiocard.io.unsegmented import read_unsegmented  # noqa: E402
from radiocard.specs import read_recipe  # noqa: E402
from radiocard.study.classify import (  # noqa: E402
    HeartTable,
    classify_out_of_fold,
    read_classifier,
    read_hearts,
    write_answers,
)
from radiocard.study.compare_files import read_told  # noqa: E402


@pytest.fixture(scope="module")
def recipe():
    shipped = read_classifier("densenet_cine")
    quick = shipped.training.model_copy(update={"epochs": 2, "warmup_epochs": 0.0, "validation": 0.34})
    grid = shipped.grid.model_copy(update={"size_px": 32, "spacing_mm": 5.0})
    small = {"slices": 2, "features": 4, "growth": 4, "blocks": (1,), "grid": grid, "training": quick}
    return shipped.model_copy(update=small)


@pytest.fixture(scope="module")
def plan(small_plan):
    return small_plan.model_copy(update={"outer_folds": 2, "inner_folds": 2, "n_bootstrap": 100})


@pytest.fixture(scope="module")
def cohort(simulated_folder):
    torch.set_num_threads(1)
    return simulated_folder


@pytest.fixture(scope="module")
def hearts(cohort, recipe):
    return read_hearts(cohort, recipe)


@pytest.fixture(scope="module")
def answers(hearts, recipe, plan):
    return classify_out_of_fold(hearts, plan=plan, recipe=recipe)


def _twins(hearts):
    """The second patient gets the images of the first, and its class."""
    rows = list(range(len(hearts.ids)))
    rows[1] = 0
    return replace(
        hearts,
        labels=tuple(hearts.labels[r] for r in rows),
        digests=tuple(hearts.digests[r] for r in rows),
        channels=hearts.channels[rows],
    )


def test_folds_are_those_of_the_measurements(hearts, answers, plan):
    X = pd.DataFrame({"noise": np.random.default_rng(0).normal(size=len(hearts.ids))}, index=list(hearts.ids))
    ours = nested_cv(X, hearts.labels, hearts.groups, recipes=[read_recipe("naive_bayes")], plan=plan)
    assert np.array_equal(ours.fold_of, answers.fold_of)
    assert ours.classes == answers.classes


def test_everybody_is_answered_once_per_repeat(answers, plan):
    assert answers.probabilities.shape == (2, 30, 5)
    np.testing.assert_allclose(answers.probabilities.sum(axis=2), 1, atol=1e-9)
    assert len(answers.members) == plan.outer_folds * plan.repeats
    assert (answers.seconds > 0).all()


def test_twins_are_never_apart(hearts, recipe, plan, monkeypatch):
    seen = []

    def spy(recipe, training, validation, **rest):
        seen.append([{x.tobytes() for x in part[0]} for part in (training, validation)])
        return _untrained(recipe)

    monkeypatch.setattr("radiocard.segmentation.classifier.train_classifier", spy)
    twins = _twins(hearts)
    found = classify_out_of_fold(twins, plan=plan, recipe=recipe)
    assert (found.fold_of[:, 0] == found.fold_of[:, 1]).all()
    for (repeat, fold), (training, validation) in zip(found.members, seen, strict=True):
        test = {twins.channels[i].tobytes() for i in np.flatnonzero(found.fold_of[repeat] == fold)}
        assert not training & validation
        assert not (training | validation) & test


def _untrained(recipe):
    from radiocard.segmentation.classifier import TrainedClassifier, build_classifier

    return TrainedClassifier(build_classifier(recipe, 5), 1, (0.0,))


def test_what_a_fold_learns_does_not_depend_on_its_test_patients(hearts, answers, recipe, plan):
    """Other images of the patients left out change their answers only."""
    once = plan.model_copy(update={"repeats": 1})
    test = np.flatnonzero(answers.fold_of[0] == 0)
    channels = hearts.channels.copy()
    channels[test] = 0
    again = classify_out_of_fold(replace(hearts, channels=channels), plan=once, recipe=recipe)
    a, b = (found.members[0, 0].network.state_dict() for found in (answers, again))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not np.allclose(again.probabilities[0, test], answers.probabilities[0, test])


def test_compare_reads_what_is_written(answers, tmp_path):
    write_answers(answers, tmp_path / "deep.csv")
    (told,) = read_told(tmp_path / "deep.csv")
    assert (told.name, told.kind, told.ids, told.classes) == (
        "deep",
        "cross-validated",
        answers.hearts.ids,
        answers.classes,
    )
    np.testing.assert_allclose(told.probabilities[0], answers.probabilities.mean(axis=0), atol=1e-9)
    assert told.cost.seconds == pytest.approx(answers.seconds.mean())


def test_patients_without_a_diagnosis_or_a_phase_are_left_out(cohort, recipe):
    found = read_unsegmented(cohort)
    unknown = replace(found.cases[0], clinical={})
    lame = replace(found.cases[1], files={("cine", "ed"): found.cases[1].files["cine", "ed"]})
    hearts = read_hearts(replace(found, cases=(unknown, lame, found.cases[2])), recipe)
    assert hearts.ids == (found.cases[2].patient_id,)
    assert [(i.code, i.case) for i in hearts.issues] == [("E_PHASE", lame.patient_id)]
    with pytest.raises(CohortError, match="No case has a diagnosis"):
        read_hearts(replace(found, cases=(unknown, lame)), recipe)


def test_a_class_too_small_is_refused_before_any_training(hearts, recipe, monkeypatch):
    monkeypatch.setattr(study, "_train", lambda *_: pytest.fail("trained"))
    few = HeartTable(
        hearts.ids[:3], ("A", "A", "B"), hearts.digests[:3], hearts.channels[:3], hearts.seconds[:3], True, ()
    )
    with pytest.raises(CohortError, match="fewer patients than the"):
        classify_out_of_fold(few, recipe=recipe)
