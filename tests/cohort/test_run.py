import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import radiocard
from radiocard.cohort import row as row_module
from radiocard.cohort import run as run_module
from radiocard.cohort.row import case_row
from radiocard.cohort.run import run_cohort
from radiocard.errors import CohortError, ReadError, SpecError, UsageError
from radiocard.io.cohort import CaseRef, read_cohort
from radiocard.specs import FeatureSpec, parse_as, read_spec

SPEC = read_spec("cine_sax")


def first(simulated_folder, n):
    cohort = read_cohort(simulated_folder)
    return replace(cohort, cases=cohort.cases[:n])


def test_one_row_per_patient_in_the_order_of_the_cohort_whatever_the_number_of_workers(simulated_folder):
    cohort = first(simulated_folder, 4)
    alone, _ = run_cohort(cohort, SPEC, jobs=1)
    together, _ = run_cohort(cohort, SPEC, jobs=2)
    assert list(alone.index) == [ref.patient_id for ref in cohort.cases]
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    assert alone.attrs["radiocard"]["spec_hash"] == SPEC.hash


def test_a_cut_file_refuses_its_case_and_the_others_go_on(simulated_folder, tmp_path):
    shutil.copytree(simulated_folder.parent, tmp_path / "c")
    cohort = first(tmp_path / "c" / simulated_folder.name, 3)
    image = cohort.cases[1].files["cine", "ed"].image
    image.write_bytes(image.read_bytes()[:-5000])
    table, issues = run_cohort(cohort, SPEC, texture=False)
    assert list(table.index) == [cohort.cases[0].patient_id, cohort.cases[2].patient_id]
    refused = [i for i in issues if i.severity == "refuse"]
    assert [(i.code, i.case) for i in refused] == [("E_TRUNCATED", cohort.cases[1].patient_id)]


def test_nothing_usable_aborts_with_the_reasons(simulated_folder, tmp_path):
    shutil.copytree(simulated_folder.parent, tmp_path / "c")
    cohort = first(tmp_path / "c" / simulated_folder.name, 1)
    cohort.cases[0].files["cine", "es"].mask.write_bytes(b"")
    with pytest.raises(CohortError, match=r"None of 1 cases was usable \(E_") as caught:
        run_cohort(cohort, SPEC)
    assert caught.value.code == "E_NOTHING_USABLE"


def test_identical_images_under_two_identifiers_are_flagged(simulated_folder):
    cohort = first(simulated_folder, 2)
    twin = replace(cohort.cases[0], patient_id="twin")
    _, issues = run_cohort(replace(cohort, cases=(*cohort.cases, twin)), SPEC, texture=False)
    assert {i.case for i in issues if i.code == "W_IDENTICAL_IMAGES"} == {cohort.cases[0].patient_id, "twin"}


def test_an_unexpected_error_is_the_case_s_own(simulated_folder, monkeypatch):
    def fails(*_args, **_kwargs):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(row_module, "measure", fails)
    result = case_row(read_cohort(simulated_folder).cases[0], SPEC)
    assert result.values is None
    assert [(i.code, i.message) for i in result.issues] == [("E_CRASHED", "Unexpected ZeroDivisionError: oops")]


class KillerRef:
    """A case whose worker dies, as under the system's memory killer."""

    patient_id = "killer"
    clinical: ClassVar = {}

    def load(self):
        os._exit(9)


def test_a_killed_worker_loses_its_own_case_only(simulated_folder):
    cohort = first(simulated_folder, 2)
    cohort = replace(cohort, cases=(KillerRef(), *cohort.cases))
    table, issues = run_cohort(cohort, SPEC, jobs=2, texture=False)
    assert list(table.index) == [ref.patient_id for ref in cohort.cases[1:]]
    assert [(i.code, i.case) for i in issues if i.severity == "refuse"] == [("E_CRASHED", "killer")]


@dataclass(frozen=True)
class FirstTimeRef:
    """A case that at its first time waits for the other one, then ends its worker or hangs."""

    ref: CaseRef
    folder: Path
    killer: bool

    @property
    def patient_id(self):
        return self.ref.patient_id

    @property
    def clinical(self):
        return self.ref.clinical

    def load(self):
        mine = self.folder / self.patient_id
        if not mine.exists():
            mine.touch()
            while len(list(self.folder.iterdir())) < 2:
                time.sleep(0.01)
            if self.killer:
                os._exit(9)
            time.sleep(60)
        return self.ref.load()


def test_after_a_break_the_cases_left_are_tried_again_together(simulated_folder, tmp_path, monkeypatch):
    sizes = []

    class Recorded(run_module.ProcessPoolExecutor):
        def __init__(self, size, **settings):
            sizes.append(size)
            super().__init__(size, **settings)

    monkeypatch.setattr(run_module, "ProcessPoolExecutor", Recorded)
    cohort = first(simulated_folder, 2)
    cases = tuple(FirstTimeRef(ref, tmp_path, killer=n == 0) for n, ref in enumerate(cohort.cases))
    table, _ = run_cohort(replace(cohort, cases=cases), SPEC, jobs=2, texture=False)
    assert list(table.index) == [ref.patient_id for ref in cohort.cases]
    assert sizes[0] == 2
    assert len(sizes) == 2  # one pool for what is left, whether or not the other case was done before the kill


@dataclass(frozen=True)
class MarkingRef:
    """A case that leaves a mark and is refused, or raises what concerns every case."""

    patient_id: str
    folder: Path
    clinical: ClassVar = {}

    def load(self):
        if self.patient_id == "0":
            msg = "The engine cannot honour this."
            raise SpecError(msg)
        (self.folder / self.patient_id).touch()
        time.sleep(0.1)
        msg = "Nothing here."
        raise ReadError(msg)


def test_an_error_that_concerns_every_case_ends_the_run_without_the_cases_not_begun(simulated_folder, tmp_path):
    cohort = replace(first(simulated_folder, 0), cases=tuple(MarkingRef(str(n), tmp_path) for n in range(30)))
    with pytest.raises(SpecError, match="cannot honour this"):
        run_cohort(cohort, SPEC, jobs=2)
    assert len(list(tmp_path.iterdir())) < 15


def test_fewer_than_one_worker_is_refused(simulated_folder):
    with pytest.raises(UsageError, match=r"jobs is 0, expected at least 1\."):
        run_cohort(first(simulated_folder, 2), SPEC, jobs=0)


@pytest.mark.parametrize("name", ["lvef_pct", "flags", "lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32"])
def test_a_clinical_column_named_as_a_column_that_is_computed_aborts(simulated_folder, name):
    cohort = first(simulated_folder, 2)
    last = replace(cohort.cases[1], clinical={**cohort.cases[1].clinical, name: 55.0, "troponin": 3.0})
    with pytest.raises(CohortError, match=f"computes itself: {name}\\.") as caught:
        run_cohort(replace(cohort, cases=(cohort.cases[0], last)), SPEC, texture=False)
    assert caught.value.code == "E_COHORT"
    assert "Rename" in caught.value.issue.hint


def test_a_setting_the_engine_cannot_honour_aborts_before_any_case(simulated_folder):
    spec = parse_as(FeatureSpec, SPEC.settings() | {"name": "x", "description": "", "engine": "pyradiomics"}, "x")
    with pytest.raises(SpecError, match="pyradiomics"):
        run_cohort(read_cohort(simulated_folder), spec)


def test_columns_are_named_by_the_rule_and_have_dictionary_entries(table):
    from radiocard.cohort.table import describe, feature_columns

    columns = feature_columns(table)
    assert "lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32" in columns
    assert not {"diagnosis", "site", "simulated", "image_sha256", "flags"} & set(columns)
    assert all(c == c.lower() and c.isascii() for c in columns)
    assert all(describe(c).meaning.endswith(".") for c in columns)
    assert all(np.issubdtype(table[c].dtype, np.floating) for c in columns)


def test_measurements_follow_the_phantom_s_own_parameters(table):
    from radiocard.simulate.cohort import simulate_cohort

    truth = {p.case.patient_id: p.truth for p in simulate_cohort(per_class=6, seed=11)}
    for column, bias_pct in (("lvedv_ml", 4), ("rvedv_ml", 4), ("lvm_g", 4), ("lvesv_ml", 6)):
        known = np.array([truth[p][column] for p in table.index])
        assert 100 * np.mean(table[column] / known - 1) == pytest.approx(0, abs=bias_pct), column
    assert radiocard.read_spec("cine_sax").hash == table.attrs["radiocard"]["spec_hash"]
