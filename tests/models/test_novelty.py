import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from radiocard.errors import CohortError, ModelError, UsageError
from radiocard.models.novelty import Novelty, held_out_scores, novelty, p_values, shared_covariance
from radiocard.models.novelty_score import NoveltyScore
from radiocard.models.persist import model_bytes, read_model


def test_alone_is_the_share_of_scores_at_least_as_large():
    reference = np.array([[0.0], [1.0], [1.0], [3.0]])
    alone, together = p_values(reference, np.array([[-1.0], [1.0], [2.0], [9.0]]))
    assert alone[:, 0].tolist() == [1.0, 4 / 5, 2 / 5, 1 / 5]
    np.testing.assert_array_equal(together, alone[:, 0])


def test_together_is_the_definition_written_out():
    rng = np.random.default_rng(3)
    reference, new = rng.integers(0, 9, size=(17, 3)).astype(float), rng.integers(0, 9, size=(6, 3)).astype(float)
    for i, expected in enumerate(p_values(reference, new)[1]):
        everyone = np.vstack([reference, new[i]])
        smallest = [min((everyone[:, j] >= row[j]).sum() for j in range(3)) for row in everyone]
        assert expected == sum(s <= smallest[-1] for s in smallest) / 18


@pytest.mark.parametrize("level", [0.05, 0.10])
def test_false_alarms_are_as_rare_as_stated(level):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 3))
    p = np.concatenate(
        [p_values(rng.normal(size=(99, 3)) @ mix, rng.normal(size=(1, 3)) @ mix)[1] for _ in range(4000)]
    )
    low, high = binom(4000, level).ppf([0.0005, 0.9995])
    assert low <= (p <= level).sum() <= high


def test_false_alarms_of_the_whole_are_as_rare_as_stated():
    rng = np.random.default_rng(1)
    alarms = []
    for _ in range(12):
        y = np.repeat([0, 1, 2], 34)[:100]
        X, new = (rng.normal(size=(n, 8)) + 3 * np.eye(3, 8)[c] for n, c in ((100, y), (200, rng.integers(0, 3, 200))))
        reference = held_out_scores(X, y, inner=None, random_state=0)
        p = p_values(reference, NoveltyScore().fit(X, y).score_parts(new))[1]
        alarms.append((p <= 0.10).mean())
    assert np.mean(alarms) == pytest.approx(0.10, abs=0.03)


def test_held_out_scores_leave_the_row_out():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(40, 2)), np.zeros(40, dtype=int)
    X[7] = 100.0
    scores = held_out_scores(X, y, inner=None, random_state=0)
    assert scores[7, 0] == 2  # in the fit it would be its own range
    assert scores[:, 1:].argmax(axis=0).tolist() == [7, 7]


def test_a_training_like_patient_is_usual_and_a_monster_is_named(bundle, planted, tools):
    X = tools["plant"](seed=9)[0].iloc[[0, 1]].copy()
    column = bundle.answering.final_columns[0]
    X.loc[X.index[1], column] = 1000.0
    usual, monster = novelty(bundle, X)
    assert usual.level == "usual"
    assert not usual.alarm
    assert monster.level == "very unusual"
    assert monster.alarm
    assert monster.p_value == 1 / 37
    assert monster.n_training == 36
    assert monster.n_outside == 1
    first = monster.sticking_out[0]
    assert (first.column, first.value, first.outside) == (column, 1000.0, True)
    known = planted[0][column].to_numpy()
    assert (first.low, first.high) == (np.nanmin(known), np.nanmax(known))
    assert first.deviation > 100


def test_one_patient_does_not_change_another(bundle, tools):
    X = tools["plant"](seed=4)[0].iloc[::9]
    together = [n.p_value for n in novelty(bundle, X)]
    assert together == [novelty(bundle, X.iloc[[i]])[0].p_value for i in range(len(X))]


def test_identical_patients_count_once(planted, tools):
    X, y, groups = planted
    models = tools["train"](X, y, groups, ["logistic"])
    groups = groups.copy()
    groups[1] = groups[0]
    assert novelty(tools["bundle_of"](X, y, groups, models), X.iloc[[5]])[0].n_training == 35


def test_a_loaded_model_says_the_same(bundle, tools):
    X = tools["plant"](seed=4)[0].iloc[:4]
    loaded = read_model(model_bytes(bundle))
    assert [(n.parts, n.covariance) for n in novelty(loaded, X)] == [
        (n.parts, n.covariance) for n in novelty(bundle, X)
    ]


@pytest.mark.parametrize(("n_rows", "used"), [(105, "shrunk"), (106, "mcd")])
def test_the_smallest_fold_decides_the_covariance_of_all_scores(n_rows, used):
    assert shared_covariance(n_rows, 20) == used  # 105 rows leave 99 in the smallest fit


def test_keep_leaves_a_training_patient_out(bundle, planted):
    X = planted[0]
    keep = bundle.groups != bundle.groups[0]
    (found,) = novelty(bundle, X.iloc[[0]], keep=keep)
    assert found.n_training == 35
    assert novelty(bundle, X.iloc[:0]) == ()


def test_too_few_patients_are_refused(bundle, planted):
    keep = np.arange(36) < 18
    with pytest.raises(CohortError, match="18 independent training patients .* at least 19 for alarms at 5 %"):
        novelty(bundle, planted[0], keep=keep)


def test_missing_columns_are_refused(bundle):
    with pytest.raises(ModelError, match="lacks"):
        novelty(bundle, pd.DataFrame({"signal_a": [1.0]}))


def test_other_parts_are_refused():
    with pytest.raises(UsageError, match=r"shape \(2, 2\), expected \(n_patients, 3\)"):
        p_values(np.zeros((5, 3)), np.zeros((2, 2)))


def test_sentence_says_how_many_are_as_unlike_and_what_sticks_out(bundle, planted, tools):
    X = tools["plant"](seed=9)[0].iloc[[0, 1]].copy()
    column = bundle.answering.final_columns[0]
    X.loc[X.index[1], column] = 1000.0
    usual, monster = novelty(bundle, X)
    low, high = planted[0][column].min(), planted[0][column].max()
    assert monster.sentence(names={column: "cavity"}, units={column: "mL"}).startswith(
        "Unlike the training patients: none of the 36 training patients is as unlike the others "
        f"(alarm at 5 % false alarms). What sticks out: cavity 1000 (training {low:.4g} to {high:.4g} mL)"
    )
    assert usual.sentence().startswith("Not unlike the training patients: ")


def test_an_alarm_that_no_single_measurement_explains_says_so():
    found = Novelty(0.09, {}, "unusual", 99, 0, (), "mcd")
    assert found.sentence() == (
        "Unlike the training patients: 8 of the 99 training patients are as unlike the others (alarm at 10 % false "
        "alarms). No one measurement sticks out; their combination does."
    )
