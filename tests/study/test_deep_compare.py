import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from dataclasses import replace  # noqa: E402

from radiocard.cohort.row import COVARIATES  # noqa: E402
from radiocard.errors import CohortError, UsageError  # noqa: E402
from radiocard.io.unsegmented import read_unsegmented  # noqa: E402
from radiocard.specs import read_spec  # noqa: E402
from radiocard.study.classify import read_classifier, read_hearts  # noqa: E402
from radiocard.study.compare_files import read_told  # noqa: E402
from radiocard.study.deep_compare import DEEP, OURS, compare_deep  # noqa: E402
from radiocard.study.train import train  # noqa: E402


@pytest.fixture(scope="module")
def recipe():
    torch.set_num_threads(1)
    shipped = read_classifier("densenet_cine")
    quick = shipped.training.model_copy(update={"epochs": 1, "warmup_epochs": 0.0, "validation": 0.34})
    grid = shipped.grid.model_copy(update={"size_px": 32, "spacing_mm": 5.0})
    small = {"slices": 2, "features": 4, "growth": 4, "blocks": (1,), "grid": grid, "training": quick}
    return shipped.model_copy(update=small)


@pytest.fixture(scope="module")
def model(simulated_folder, recipe, small_plan):
    """Trained on a table of the same patients, with the digests of their images and one measurement."""
    hearts = read_hearts(simulated_folder, recipe)
    index = pd.Index(hearts.ids, name="patient_id")
    table = pd.DataFrame(dict.fromkeys(COVARIATES), index=index, dtype=object)
    table["diagnosis"], table["image_sha256"] = hearts.labels, hearts.digests
    table["simulated"], table["orientation_proven"], table["flags"] = True, True, ""
    rng = np.random.default_rng(0)
    for column in ("lvef_pct", "lvedv_ml", "rvef_pct"):
        table[column] = rng.normal(50.0, 5.0, len(index)) + np.unique(hearts.labels, return_inverse=True)[1]
    spec = read_spec("cine_sax")
    table.attrs["radiocard"] = {"spec": spec.settings(), "spec_hash": spec.hash, "layout": "manifest"}
    plan = small_plan.model_copy(update={"outer_folds": 2, "inner_folds": 2, "n_bootstrap": 100})
    return train(table, models=["naive_bayes"], pool="physiology", plan=plan)


def test_one_call_compares_the_two(simulated_folder, model, recipe, tmp_path):
    patient = read_unsegmented(simulated_folder).cases[3].patient_id
    contest = compare_deep(simulated_folder, model, tmp_path, recipe=recipe, explain=patient)
    assert set(contest.comparison.scores) == {"radiomics", "deep"}
    assert contest.comparison.reference == "radiomics"
    assert all(path.is_file() for path in contest.paths)
    assert (tmp_path / "looked_at.png").read_bytes().startswith(b"\x89PNG")
    (ours,) = read_told(tmp_path / OURS)
    mean = model.out_of_fold["selected"].mean(axis=0)
    np.testing.assert_allclose(ours.probabilities[0], mean, atol=1e-9)
    (deep,) = read_told(tmp_path / DEEP)
    assert ours.ids == deep.ids


def test_patients_that_differ_are_refused(simulated_folder, model, recipe, tmp_path):
    found = read_unsegmented(simulated_folder)
    with pytest.raises(CohortError, match="trained on 30 patients, the cohort has 29"):
        compare_deep(replace(found, cases=found.cases[1:]), model, tmp_path, recipe=recipe)
    files = found.cases[0].files
    stranger = replace(found.cases[0], files=dict(zip(files, reversed(files.values()), strict=True)))  # other images
    with pytest.raises(CohortError, match="not trained on this patient"):
        compare_deep(replace(found, cases=(stranger, *found.cases[1:])), model, tmp_path, recipe=recipe)
    with pytest.raises(UsageError, match="no usable patient 'nobody'"):
        compare_deep(found, model, tmp_path, recipe=recipe, explain="nobody")
