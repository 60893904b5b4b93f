import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radiocard.errors import OutputError
from radiocard.evaluation import checkpoints, outer_folds
from radiocard.evaluation.checkpoints import CheckpointWarning, fold_folder
from radiocard.evaluation.nested import nested_cv
from radiocard.io.atomic import format_json
from radiocard.specs import EvaluationPlan, ModelRecipe

PLAN = {
    "schema": "radiocard/evaluation/1", "name": "test", "outer_folds": 3, "repeats": 2, "inner_folds": 3,
    "n_bootstrap": 200, "calibration_bins": 5, "random_state": 0,
}  # fmt: skip
RECIPE = {
    "schema": "radiocard/model-recipe/1", "name": "logistic", "title": "Logistic", "estimator": "logistic",
    "fixed": {"max_iter": 500}, "grid": {"C": [0.1, 1.0]}, "scale": "standard", "correlation_max": 0.95,
    "select": {"method": "anova", "k": [2, 3]}, "calibration": "none",
}  # fmt: skip
FOREST = RECIPE | {
    "name": "forest", "estimator": "random_forest", "fixed": {"n_estimators": 5, "max_depth": 3}, "grid": {},
    "scale": "none",
}  # fmt: skip


def make_table(n=48):
    rng = np.random.default_rng(0)
    y = np.array(["DCM", "NOR"])[np.arange(n) % 2]
    X = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("ebcda"), index=[f"p{i:02d}" for i in range(n)])
    X["c"] += np.where(y == "DCM", 1.0, -1.0)
    X.iloc[::7, 0] = np.nan
    return X, y, np.array([f"g{i // 2 if i < 6 else i}" for i in range(n)])


def run(folder=None, *, table=None, recipes=(RECIPE, FOREST), progress=None, n_jobs=1, **plan):
    made = [ModelRecipe.model_validate(r) for r in recipes]
    asked = EvaluationPlan.model_validate(PLAN | plan)
    X, y, groups = make_table() if table is None else table
    return nested_cv(X, y, groups, recipes=made, plan=asked, resume=folder, progress=progress, n_jobs=n_jobs)


def text(result):
    return format_json(result.to_dict())


@pytest.fixture(scope="module")
def whole():
    return text(run())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.fixture
def kept(finished, tmp_path):
    """Return a folder of its own in which a whole run kept its parts."""
    return Path(shutil.copytree(finished, tmp_path / "kept"))


@pytest.fixture
def fits(monkeypatch):
    """List the recipes that are fitted."""
    seen = []
    original = outer_folds.fit_best

    def spy(recipe, *args, **kwargs):
        seen.append(recipe.name)
        return original(recipe, *args, **kwargs)

    monkeypatch.setattr(outer_folds, "fit_best", spy)
    return seen


def test_a_finished_run_is_given_back_to_the_bit_and_fits_nothing(kept, whole, fits):
    assert len(list(kept.glob("*.fold"))) == 12
    told = []
    assert text(run(kept, progress=lambda *a: told.append(a))) == whole
    assert fits == []
    assert told == [(6, 6)]


def test_only_the_missing_part_is_fitted(kept, whole, fits):
    next(kept.glob("*.fold")).unlink()
    told = []
    assert text(run(kept, progress=lambda *a: told.append(a))) == whole
    assert len(fits) == 1
    assert told == [(5, 6), (6, 6)]


KILLED = """
import sys
sys.path.insert(0, {folder!r})
import time
from radiocard.evaluation import checkpoints, outer_folds
from test_checkpoints import run

original = outer_folds.fit_best

def slow(*args, **kwargs):
    time.sleep(0.15)
    return original(*args, **kwargs)

outer_folds.fit_best = slow
run(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="not run: no SIGKILL")
def test_killed_at_any_moment_and_run_again(tmp_path, whole, fits):
    """Killed twice, in the midst; each time it goes on, and the end is that of an uninterrupted run."""
    folder, done = tmp_path / "kept", [0]
    for at_least in (2, 5):
        code = KILLED.format(folder=str(Path(__file__).parent))
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE)
        while len(list(folder.glob("*.fold"))) < at_least and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
        process.stderr.close()
        done.append(len(list(folder.glob("*.fold"))))
    assert done[0] < done[1] < done[2] < 12
    assert text(run(folder)) == whole
    assert len(fits) == 12 - done[2]


def test_left_overs_of_a_killed_write_are_removed(kept):
    (kept / ".radiocard-0123.tmp").write_bytes(b"half")
    run(kept)
    assert not list(kept.glob("*.tmp"))


def changed_label():
    X, y, groups = make_table()
    y[40] = "NOR"
    return X, y, groups


def changed_value():
    X, y, groups = make_table()
    X.iloc[3, 2] = np.nextafter(X.iloc[3, 2], 9)
    return X, y, groups


def changed_group():
    X, y, groups = make_table()
    groups[40] = groups[42]
    return X, y, groups


@pytest.mark.parametrize("change", [changed_label, changed_value, changed_group])
def test_the_hash_of_a_table_holds_every_label_value_and_group(change):
    assert checkpoints.table_hash(*change()) != checkpoints.table_hash(*make_table())


@pytest.mark.parametrize("change", [changed_label, changed_value, changed_group])
def test_a_changed_table_makes_every_part_again(kept, fits, change):
    found = text(run(kept, table=change()))
    assert len(fits) == 12
    assert found == text(run(table=change()))


def test_a_changed_recipe_makes_its_parts_again_and_no_other(kept, fits):
    finer = RECIPE | {"grid": {"C": [0.1, 0.9]}}
    found = text(run(kept, recipes=(finer, FOREST)))
    assert fits == ["logistic"] * 6
    assert found == text(run(recipes=(finer, FOREST)))


def test_a_changed_plan_makes_again_what_it_changes(kept, fits):
    run(kept, n_bootstrap=300)
    assert fits == []
    found = text(run(kept, repeats=3))
    assert fits == ["logistic", "forest"] * 3
    assert found == text(run(repeats=3))
    del fits[:]
    run(kept, inner_folds=4)
    assert len(fits) == 12


def test_other_versions_make_everything_again(kept, fits, monkeypatch):
    monkeypatch.setattr("radiocard.evaluation.checkpoints.installed_versions", lambda: {"scikit-learn": "0.1"})
    run(kept)
    assert len(fits) == 12


def test_the_order_of_columns_does_not_matter(kept, whole, fits):
    X, y, groups = make_table()
    assert text(run(kept, table=(X[sorted(X)], y, groups))) == whole
    assert fits == []


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "another", "text"])
def test_a_damaged_part_is_made_again_with_a_warning(kept, whole, fits, damage):
    path, other = sorted(kept.glob("*.fold"))[:2]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    new = {
        "cut": path.read_bytes()[:-20], "empty": b"", "flipped": bytes(content), "another": other.read_bytes(),
        "text": b"not a fold",
    }  # fmt: skip
    path.write_bytes(new[damage])
    with pytest.warns(CheckpointWarning, match=r"A kept fold of '\w+' \(\w+\.fold\) is damaged and is made again"):
        assert text(run(kept)) == whole
    assert len(fits) == 1
    del fits[:]
    assert text(run(kept)) == whole
    assert fits == []


def test_no_flipped_byte_is_trusted(kept):
    """Every byte of a kept part is covered by its hash."""
    path = next(kept.glob("*.fold"))
    content = path.read_bytes()
    for place in range(0, len(content), 13):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="The content does not have its hash"):
            checkpoints._parse(bytes(damaged), "key", ModelRecipe.model_validate(RECIPE))


@pytest.mark.parametrize(
    ("field", "value"),
    [("probabilities", np.nan), ("probabilities", -0.1), ("features", ("unknown",)), ("inner_log_loss", np.inf)],
)
def test_a_part_that_cannot_be_is_not_trusted(tmp_path, fits, field, value, monkeypatch):
    original = outer_folds.FoldAnswer

    def broken(params, loss, features, p):
        parts = {"params": params, "inner_log_loss": loss, "features": features, "probabilities": p.copy()}
        if field == "probabilities":
            parts[field][0, 0] = value
        else:
            parts[field] = value
        return original(**parts)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_text", lambda d: json.dumps(d, sort_keys=True).encode())
        patch.setattr(outer_folds, "FoldAnswer", broken)
        run(tmp_path, recipes=(RECIPE,), repeats=1)
    del fits[:]
    with pytest.warns(CheckpointWarning, match="is damaged"):
        run(tmp_path, recipes=(RECIPE,), repeats=1)
    assert len(fits) == 3


def hold(folder, ready, end):
    with fold_folder(folder):
        ready.set()
        end.wait(30)


def test_the_second_writer_is_told_who_holds_the_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, end))
    process.start()
    try:
        assert ready.wait(60)
        with pytest.raises(OutputError, match=rf"being written by another process \(process {process.pid}\)"):
            run(tmp_path)
    finally:
        end.set()
        process.join()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="No lock can be made"):
        run(tmp_path / "file" / "kept")


@pytest.mark.skipif(os.environ.get("RADIOCARD_REQUIRE") != "all", reason="not run: starts two processes")
def test_two_processes_keep_the_same_parts(tmp_path, kept, whole):
    assert text(run(tmp_path / "two", n_jobs=2)) == whole
    assert {p.name: p.read_bytes() for p in (tmp_path / "two").glob("*.fold")} == {
        p.name: p.read_bytes() for p in kept.glob("*.fold")
    }
