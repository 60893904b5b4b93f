import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.comparison_result import CROSS_VALIDATED, HELD_OUT
from radiocard.evaluation.result import NestedResult
from radiocard.evaluation.scores import score
from radiocard.study.compare import compare, write_comparison
from radiocard.study.compare_files import read_costs, read_told
from radiocard.study.compare_text import HEADER, lines

CLASSES = ["DCM", "HCM", "NOR"]
RECIPES = (("selected", 2.0), ("rf", 1.0))
N = 45
IDS = [f"{i:03d}" for i in range(N)]
Y = np.arange(N) % 3


def draw(strength, seed, n=N, classes=CLASSES):
    codes = np.arange(n) % len(classes)
    logits = np.random.default_rng(seed).normal(size=(n, len(classes))) + strength * np.eye(len(classes))[codes]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def frame(p, ids=IDS, classes=CLASSES):
    table = pd.DataFrame(p, columns=[f"prob_{c}" for c in classes])
    table.insert(0, "patient_id", ids)
    return table


@pytest.fixture
def folder(tmp_path):
    frame(draw(2.0, 1)).to_csv(tmp_path / "ours.csv", index=False)
    frame(draw(1.0, 2)).to_csv(tmp_path / "deep.csv", index=False)
    pd.DataFrame({"patient_id": IDS, "diagnosis": [CLASSES[c] for c in Y]}).to_csv(tmp_path / "truth.csv", index=False)
    return tmp_path


@pytest.fixture
def go(folder, small_plan):
    def run(*names, **settings):
        return compare([folder / n for n in names], truth=folder / "truth.csv", plan=small_plan, **settings)

    return run


def change(path, **columns):
    table = pd.read_csv(path, dtype={"patient_id": str})
    table.assign(**columns).to_csv(path, index=False)


def test_two_files_and_what_is_written(folder, go):
    found = go("ours.csv", "deep.csv", margin=0.05, positive="HCM")
    assert found.reference == "ours"
    loss = found.pairs["deep"].differences["log_loss"].value.value
    assert loss == pytest.approx(log_loss(Y, draw(1.0, 2)) - log_loss(Y, draw(2.0, 1)))
    paths = write_comparison(found, folder / "out")
    assert [p.name for p in paths] == ["comparison.md", "comparison.json", "comparison.csv"]
    page = paths[0].read_text(encoding="utf-8")
    for heading in ("Each model", "Differences to the reference", "Agreement and reclassification", "Decision curves"):
        assert f"## {heading}" in page
    assert "AUC of HCM against rest, DeLong" in page
    assert "Cost per case" not in page
    stored = json.loads(paths[1].read_text(encoding="utf-8"))
    assert stored["schema"] == "radiocard/comparison/1"
    assert stored["pairs"]["deep"]["mcnemar"]["n"] == N
    table = pd.read_csv(paths[2])
    assert tuple(table.columns) == HEADER
    kept = table[(table.model == "deep") & (table.quantity == "log_loss_difference")].iloc[0]
    assert float(kept.value) == loss
    assert str(folder) not in page + json.dumps(stored)


def test_the_terminal_shows_every_model_and_verdict(go):
    told = lines(go("ours.csv", "deep.csv", margin=0.05))
    assert all(len(line) <= 130 for line in told[:9])
    text = "\n".join(told)
    assert "45 independent patients, 3 classes; * reference" in told[0]
    assert "ours *" in text
    assert "non-inferiority" in text or "not inferior" in text


def test_order_of_rows_and_columns_does_not_matter(folder, go):
    expected = go("ours.csv", "deep.csv").to_dict()
    table = pd.read_csv(folder / "deep.csv", dtype={"patient_id": str})
    table.iloc[::-1][["prob_NOR", "patient_id", "prob_DCM", "prob_HCM"]].to_csv(folder / "deep.csv", index=False)
    assert go("ours.csv", "deep.csv").to_dict() == expected


def test_binary(folder, small_plan):
    ids, two = IDS[:40], ["no", "yes"]
    for name, strength in (("a", 2.0), ("b", 0.5)):
        frame(draw(strength, 5, 40, two), ids, two).to_csv(folder / f"{name}.csv", index=False)
    truth = pd.DataFrame({"patient_id": ids, "amyloid": [two[i % 2] for i in range(40)]})
    truth.to_csv(folder / "binary.csv", index=False)
    files = [folder / "a.csv", folder / "b.csv"]
    found = compare(files, truth=folder / "binary.csv", target="amyloid", reference="b", plan=small_plan)
    assert found.pairs["a"].delong_note == "yes against rest"
    assert list(found.decision) == ["yes"]


def test_a_whole_number_class_stays_whole(folder, small_plan):
    for name in "ab":
        frame(draw(1.0, 1), classes=["0", "1", "2"]).to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame({"patient_id": IDS, "diagnosis": Y}).to_csv(folder / "truth.csv", index=False)
    found = compare([folder / "a.csv", folder / "b.csv"], truth=folder / "truth.csv", plan=small_plan)
    assert found.classes == ("0", "1", "2")


def test_our_own_files_of_predictions(folder, go):
    from radiocard.study.predict import PredictionRow, Predictions, write_predictions

    rows = tuple(
        PredictionRow(i, CLASSES[int(p.argmax())], dict(zip(CLASSES, map(float, p), strict=True)), ())
        for i, p in zip(IDS, draw(2.0, 1), strict=True)
    )
    made = Predictions("s", "m", tuple(CLASSES), rows, ())
    for kind in ("json", "csv"):
        write_predictions(made, folder / f"own_{kind}.{kind}")
    found = go("ours.csv", "own_json.json", "own_csv.csv")
    for name in ("own_json", "own_csv"):
        assert found.pairs[name].differences["brier"].value.value == pytest.approx(0, abs=1e-12)
        assert found.kinds[name] == HELD_OUT


@pytest.fixture
def nested():
    """Three repeats of three folds of two recipes and a rule that abstains now and then."""
    p = {name: np.stack([draw(strength, 10 * k + r) for r in range(3)]) for k, (name, strength) in enumerate(RECIPES)}
    return NestedResult(
        ids=tuple(IDS),
        classes=tuple(CLASSES),
        y=Y,
        groups=np.arange(N) // 2 * 2,
        fold_of=np.stack([np.random.default_rng(r).permutation(N) % 3 for r in range(3)]),
        titles={"selected": "Selected", "rf": "Random forest", "majority": "Majority", "rule": "Rule"},
        probabilities={**p, "majority": np.full((3, N, 3), 1 / 3)},
        rule_answers={"rule": np.where(np.arange(N) % 5 == 0, -1, Y)},
        rule_note=None,
        folds=(),
        outer_folds=3,
        inner_folds=3,
    )


def test_out_of_fold_results_beside_a_deep_model(folder, go, nested, small_plan):
    path = folder / "out_of_fold.json"
    path.write_text(json.dumps(nested.to_dict()))
    turned = pd.read_csv(folder / "deep.csv", dtype={"patient_id": str}).iloc[::-1]
    turned[["patient_id", "prob_NOR", "prob_DCM", "prob_HCM"]].to_csv(folder / "deep.csv", index=False)
    found = go("deep.csv", "out_of_fold.json", reference="selected", positive="HCM")
    assert list(found.scores) == ["deep", *nested.models]
    for name in nested.models:
        alone = score(name, name, nested.predictions(name), plan=small_plan)
        for metric, estimate in alone.metrics.items():
            told = found.scores[name].metrics[metric]
            assert (told.value, told.low) == (pytest.approx(estimate.value), pytest.approx(estimate.low, abs=0.05))
    assert found.n_groups == 23
    assert set(found.pairs["rf"].over_folds) == {"accuracy", "log_loss"}
    assert found.pairs["rf"].over_folds["accuracy"].folds == 9
    assert found.pairs["deep"].over_folds == {}
    assert found.pairs["rf"].delong is None
    assert found.kinds["rf"] == CROSS_VALIDATED
    assert any("out of fold" in note for note in found.notes)
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert write_comparison(found, folder / "out")
    assert any("corrected resampled t" in line for line in lines(found))


def test_another_truth_than_that_of_the_evaluation_is_refused(folder, go, nested):
    data = nested.to_dict()
    data["truth"][3] = "NOR"
    (folder / "out_of_fold.json").write_text(json.dumps(data))
    with pytest.raises(CohortError, match="selected was evaluated with the class NOR, the table says DCM"):
        go("deep.csv", "out_of_fold.json")


def test_identical_images_count_once(folder, go):
    change(folder / "truth.csv", image_sha256=[f"d{i // 2 if i < 6 else i}" for i in range(N)])
    found = go("ours.csv", "deep.csv")
    assert (found.n_patients, found.n_groups) == (N, N - 3)
    assert found.pairs["deep"].mcnemar.n == N - 3
    assert any("share an image" in note for note in found.notes)


def test_patients_without_any_prediction_are_counted(folder, go):
    for name in ("ours.csv", "deep.csv"):
        table = pd.read_csv(folder / name, dtype={"patient_id": str})
        table.iloc[3:].to_csv(folder / name, index=False)
    found = go("ours.csv", "deep.csv")
    assert found.n_patients == N - 3
    assert any(note.startswith("3 patients with a known diagnosis are in no file") for note in found.notes)


def test_costs_measured_and_stated(folder, go):
    change(folder / "deep.csv", seconds=np.linspace(1, 3, N), mb=np.arange(N))
    (folder / "costs.csv").write_text("model,seconds,wh\nours,0.5,NA\ndeep,,0.25\n")
    found = go("ours.csv", "deep.csv", costs=folder / "costs.csv")
    assert found.costs["ours"].to_dict() == {"seconds": 0.5, "mb": None, "wh": None}
    assert found.costs["deep"].to_dict() == {"seconds": pytest.approx(2.0), "mb": 44.0, "wh": 0.25}
    page = write_comparison(found, folder / "out")[0].read_text()
    assert "| model | time [s] | memory [MB] | energy [Wh] |" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,minutes\nours,1\n", "expected model and any of seconds, mb, wh"),
        ("model,seconds\nours,-1\n", "line 2: seconds is '-1'"),
        ("model,seconds\nours,fast\n", "seconds is 'fast'"),
        ("model,seconds\nours,1\nours,2\n", "line 3: model 'ours' stands twice"),
    ],
)
def test_bad_costs_are_refused(tmp_path, text, message):
    (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(CohortError, match=message):
        read_costs(tmp_path / "costs.csv")


def test_costs_of_a_stranger_are_refused(folder, go):
    (folder / "costs.csv").write_text("model,seconds\ntheirs,1\n")
    with pytest.raises(UsageError, match="Costs are given for theirs, but the models are ours, deep"):
        go("ours.csv", "deep.csv", costs=folder / "costs.csv")


def test_other_patients_are_refused(folder, go):
    change(folder / "deep.csv", patient_id=[*IDS[:-1], "x"])
    with pytest.raises(CohortError, match="deep and ours differ in 2 patients; '044' is in ours only"):
        go("ours.csv", "deep.csv")


def test_patients_without_a_diagnosis_are_refused(folder, go):
    change(folder / "truth.csv", diagnosis=[None, *[CLASSES[c] for c in Y[1:]]])
    with pytest.raises(CohortError, match="1 of 45 patients have no diagnosis in the table, for example '000'"):
        go("ours.csv", "deep.csv")
    with pytest.raises(CohortError, match="The table has no column 'outcome'"):
        go("ours.csv", "deep.csv", target="outcome")


def test_other_classes_are_refused(folder, go):
    frame(draw(1.0, 2), classes=["DCM", "HCM", "normal"]).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match="deep knows the classes DCM, HCM, normal, ours DCM, HCM, NOR"):
        go("ours.csv", "deep.csv")
    change(folder / "truth.csv", diagnosis=["MINF", *[CLASSES[c] for c in Y[1:]]])
    frame(draw(1.0, 2)).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match="Labels MINF are not among the classes"):
        go("ours.csv", "deep.csv")


@pytest.mark.parametrize(
    ("value", "message"),
    [(0.9, "they sum to"), (np.nan, "one is missing"), (-0.2, "they sum to")],
)
def test_what_is_no_probability_is_refused(folder, go, value, message):
    p = draw(1.0, 2)
    p[7] = [value, 0.4, 0.5] if value != -0.2 else [-0.2, 0.6, 0.6]
    frame(p).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match=f"probabilities of 1 patients are not usable: {message}") as caught:
        go("ours.csv", "deep.csv")
    assert caught.value.issue.case == "007"


def test_logits_text_and_one_column_are_refused(folder, go):
    change(folder / "deep.csv", prob_DCM="high")
    with pytest.raises(CohortError, match="prob_DCM holds text, expected probabilities"):
        go("ours.csv", "deep.csv")
    frame(draw(1.0, 2)[:, :1], classes=["DCM"]).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match="has 1 columns that begin with 'prob_'"):
        go("ours.csv", "deep.csv")
    frame(draw(1.0, 2)[:0], ids=[]).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match="holds no patient|holds text"):
        go("ours.csv", "deep.csv")


def test_a_patient_twice_is_refused(folder, go):
    change(folder / "deep.csv", patient_id=["001", *IDS[1:]])
    with pytest.raises(CohortError, match="patient '001' occurs more than once"):
        go("ours.csv", "deep.csv")
    rows = [{"patient_id": "1", "probabilities": {"A": 1.0, "B": 0.0}}] * 2
    (folder / "own.json").write_text(json.dumps({"classes": ["A", "B"], "predictions": rows}))
    with pytest.raises(CohortError, match="own.json: patient '1' occurs more than once"):
        read_told(folder / "own.json")


def test_training_patients_are_refused_wherever_the_file_says_so(folder, go):
    message = "the model has seen 1 of 45 patients in training, for example '002'"
    flags = ["W_KNOWN_IDENTIFIER" if i == "002" else "" for i in IDS]
    change(folder / "deep.csv", flags=flags)
    with pytest.raises(LeakError, match=message):
        go("ours.csv", "deep.csv")
    frame(draw(1.0, 2)).assign(in_training=[i == "002" for i in IDS]).to_csv(folder / "deep.csv", index=False)
    with pytest.raises(LeakError, match=message):
        go("ours.csv", "deep.csv")
    frame(draw(1.0, 2)).assign(in_training="perhaps").to_csv(folder / "deep.csv", index=False)
    with pytest.raises(CohortError, match="in_training is not true or false"):
        go("ours.csv", "deep.csv")
    frame(draw(1.0, 2)).to_csv(folder / "deep.csv", index=False)
    beside = folder / "deep.issues.jsonl"
    beside.write_text(json.dumps({"code": "W_KNOWN_IDENTIFIER", "case": "002"}) + "\n")
    with pytest.raises(LeakError, match=message):
        go("ours.csv", "deep.csv")
    beside.write_text("not json\n")
    with pytest.raises(CohortError, match="deep.issues.jsonl cannot be read"):
        go("ours.csv", "deep.csv")


def test_out_of_fold_answers_in_a_csv_are_known(folder, go):
    issue = {"code": "W_OUT_OF_FOLD", "case": "002"}
    (folder / "deep.issues.jsonl").write_text(json.dumps(issue) + "\n")
    found = go("ours.csv", "deep.csv", positive="HCM")
    assert found.kinds["deep"] == CROSS_VALIDATED
    assert found.pairs["deep"].delong is None


def test_names_must_be_told_apart(folder, go):
    (folder / "other").mkdir()
    (folder / "other" / "ours.csv").write_bytes((folder / "ours.csv").read_bytes())
    with pytest.raises(UsageError, match="Two models are named 'ours'.*rename one"):
        go("ours.csv", "other/ours.csv")
    with pytest.raises(UsageError, match="There is one model, 'ours'"):
        go("ours.csv")
    with pytest.raises(UsageError, match="There is no model.$"):
        go()
    with pytest.raises(UsageError, match="There is no model 'best'; the models are ours, deep"):
        go("ours.csv", "deep.csv", reference="best")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not readable as JSON"),
        ("[1]", "is not a predictions.json or out_of_fold.json"),
        ("{}", "that can be read"),
        ('{"classes": ["A", "B"], "predictions": [{"patient_id": 1}]}', "that can be read"),
        ('{"fold_of": [[0]], "ids": ["1", "2"]}', "that can be read"),
        ('{"classes": ["A", "B"], "predictions": []}', "holds no patient"),
    ],
)
def test_damaged_json_is_refused(tmp_path, text, message):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises((CohortError, UsageError), match=message):
        read_told(tmp_path / "p.json")


def test_an_answer_that_is_no_class_is_refused(tmp_path):
    data = {
        "ids": ["1", "2"], "classes": ["A", "B"], "truth": ["A", "B"], "groups": [0, 1], "fold_of": [[0, 1]],
        "probabilities": {}, "rule_answers": {"rule": [0, 2]},
    }  # fmt: skip
    (tmp_path / "out_of_fold.json").write_text(json.dumps(data))
    with pytest.raises(CohortError, match="an answer of rule is none of the 2 classes"):
        read_told(tmp_path / "out_of_fold.json")


def test_a_missing_file_and_a_negative_measurement_are_refused(folder):
    with pytest.raises(CohortError, match="There is no file 'none.json'"):
        read_told(folder / "none.json")
    with pytest.raises(UsageError, match="does not end in .parquet or .csv"):
        read_told(folder / "ours.txt")
    change(folder / "deep.csv", seconds=-1.0)
    with pytest.raises(CohortError, match="seconds holds negative numbers or text"):
        read_told(folder / "deep.csv")


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(folder, go):
    (folder / "=evil.csv").write_bytes((folder / "deep.csv").read_bytes())
    path = write_comparison(go("ours.csv", "=evil.csv"), folder / "out")[2]
    assert not any(cell.startswith("=") for line in path.read_text().splitlines() for cell in line.split(","))
