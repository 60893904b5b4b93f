from dataclasses import replace

import numpy as np
import pytest

from radiocard.errors import CohortError, ModelError, NothingUsableError, UsageError
from radiocard.segmentation.stacks import person_of
from radiocard.specs import read_network
from radiocard.study.segment import plan_folds

RECIPE = read_network("dynunet_cpu")


@pytest.fixture(scope="module")
def people(level_cases):
    first = person_of(level_cases[0], RECIPE, margin_px=0)
    volumes = [replace(first.volumes[0], image_hash=f"{n:064x}") for n in range(40)]
    made = [
        replace(first, patient_id=f"p{n}", diagnosis="ABCD"[n % 4], volumes=(volumes[2 * n], volumes[2 * n + 1]))
        for n in range(20)
    ]
    return [*made, replace(made[3], patient_id="twin")]


def test_every_patient_is_left_out_once_and_twins_go_together(people):
    folds = plan_folds(people, RECIPE, folds=5)
    assert [fold.name for fold in folds] == [f"fold-{n}" for n in range(1, 6)]
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(21))
    for fold in folds:
        parts = [set(fold.train), set(fold.validation), set(fold.test)]
        assert set.union(*parts) == set(range(21))
        assert sum(map(len, parts)) == 21
        assert all(({3, 20} <= part) or not ({3, 20} & part) for part in parts)


def test_one_fold_trains_on_all(people):
    (fold,) = plan_folds(people, RECIPE, folds=1)
    assert not fold.test.size
    assert len(fold.train) + len(fold.validation) == 21


def test_folds_do_not_depend_on_chance(people):
    for a, b in zip(plan_folds(people, RECIPE, folds=3), plan_folds(people, RECIPE, folds=3), strict=True):
        np.testing.assert_array_equal(a.train, b.train)


def test_groups_smaller_than_the_number_of_folds_are_not_spread(people):
    alone = [replace(person, diagnosis=str(n)) for n, person in enumerate(people[:6])]
    folds = plan_folds(alone, RECIPE, folds=3)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(6))


def test_a_fold_that_leaves_one_patient_is_refused(people):
    with pytest.raises(CohortError, match="would leave fewer than two patients to learn from"):
        plan_folds(people[:3], RECIPE, folds=2)


def test_too_few_patients_are_refused(people):
    with pytest.raises(CohortError, match="2 patients with different images are usable, expected at least 3"):
        plan_folds([*people[:2], people[1]], RECIPE, folds=1)


class TestTraining:
    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch", reason="not run: needs the extra cnn")

    @pytest.fixture
    def recipe(self):
        grid = RECIPE.grid.model_copy(update={"size_px": 32, "spacing_mm": 5.0})
        training = RECIPE.training.model_copy(update={"epochs": 3, "batch_size": 4, "validation": 0.34})
        return RECIPE.model_copy(
            update={"channels": (4, 6, 8), "deep_supervision": 1, "grid": grid, "training": training}
        )

    @pytest.fixture
    def cohort(self, tmp_path):
        from radiocard.io.cohort import write_manifest_cohort
        from radiocard.simulate.cohort import simulate_cohort

        return write_manifest_cohort([p.case for p in simulate_cohort(per_class=1, seed=3)], tmp_path / "c")

    def test_an_ensemble_is_trained_fold_by_fold_and_answers_for_whom_it_never_saw(self, cohort, recipe, tmp_path):
        from radiocard.segmentation.backend import open_ensemble
        from radiocard.study.segment import train_networks
        from radiocard.study.segment_evaluate import evaluate_segmentation

        told = []
        first = train_networks(cohort, tmp_path / "n", recipe=recipe, folds=2, only=2, tell=lambda *t: told.append(t))
        assert first.card is None
        assert first.missing == ("fold-1",)
        assert [name for name, _, _ in told] == ["fold-2"] * 3
        both = train_networks(cohort, tmp_path / "n", recipe=recipe, folds=2)
        assert both.card is not None
        assert both.card.simulated
        assert (tmp_path / "n" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
        assert not list((tmp_path / "n").glob("*checkpoint*"))
        known = [set(member.trained_on) for member in both.card.members]
        assert len(known[0] | known[1]) == 10
        evidence = evaluate_segmentation(cohort, tmp_path / "n", flips=False)
        assert [case.n_networks for case in evidence.masks.cases] == [1] * 5
        assert open_ensemble(tmp_path / "n").card.network_id == both.card.network_id
        with pytest.raises(UsageError, match="belongs to another recipe, cohort, start or number of folds"):
            train_networks(cohort, tmp_path / "n", recipe=recipe, folds=3)

    def test_weights_of_another_ensemble_are_a_start(self, cohort, recipe, tmp_path):
        from radiocard.study.segment import train_networks

        first = train_networks(cohort, tmp_path / "a", recipe=recipe, folds=1).card
        second = train_networks(cohort, tmp_path / "b", recipe=recipe, folds=1, initial=tmp_path / "a").card
        assert second.members[0].initial == first.network_id
        assert second.members[0].history[0].loss < first.members[0].history[0].loss

    def test_weights_of_a_file_are_a_start_and_nobody_knows_whom_they_saw(self, cohort, recipe, tmp_path):
        from radiocard.study.segment import train_networks

        first = train_networks(cohort, tmp_path / "a", recipe=recipe, folds=1)
        assert first.issues == ()
        file = tmp_path / "a" / "fold-1.safetensors"
        second = train_networks(cohort, tmp_path / "b", recipe=recipe, folds=1, initial=file)
        assert [issue.code for issue in second.issues] == ["W_UNKNOWN_START"]
        assert second.card.members[0].history[0].loss < first.card.members[0].history[0].loss
        (tmp_path / "x.safetensors").write_bytes(b"no weights")
        with pytest.raises(ModelError, match="not a safetensors file"):
            train_networks(cohort, tmp_path / "c", recipe=recipe, folds=1, initial=tmp_path / "x.safetensors")

    def test_where_too_few_cases_can_be_used_the_reasons_are_told(self, cohort, recipe, tmp_path):
        from radiocard.study.segment import train_networks

        for image in (cohort.parent / "images").iterdir():
            image.write_bytes(b"")
        with pytest.raises(NothingUsableError, match="0 patients with different images are usable") as caught:
            train_networks(cohort, tmp_path / "n", recipe=recipe, folds=2)
        assert len({issue.case for issue in caught.value.issues}) == 5

    def test_a_fold_that_does_not_exist_is_refused(self, cohort, recipe, tmp_path):
        from radiocard.study.segment import train_networks

        with pytest.raises(UsageError, match="Fold 3 does not exist: there are 2"):
            train_networks(cohort, tmp_path / "n", recipe=recipe, folds=2, only=3)
