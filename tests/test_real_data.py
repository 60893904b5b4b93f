"""Checks on real ACDC patients; not run where ``RADIOCARD_ACDC`` (and ``RADIOCARD_ACDC_TABLE``) are not set."""

import os

import numpy as np
import pandas as pd
import pytest

import radiocard
from radiocard.image import LABELS_MNMS

ACDC, TABLE = os.environ.get("RADIOCARD_ACDC"), os.environ.get("RADIOCARD_ACDC_TABLE")
pytestmark = pytest.mark.skipif(not ACDC, reason="real data: not run (RADIOCARD_ACDC is not set)")
PUBLISHED = {
    "lvedv_ml": "ED[vol(LV)]",
    "lvesv_ml": "ES[vol(LV)]",
    "rvedv_ml": "ED[vol(RV)]",
    "rvesv_ml": "ES[vol(RV)]",
}


@pytest.fixture(scope="module")
def checked():
    from radiocard.cohort.run import run_cohort
    from radiocard.io.cohort import read_cohort

    return run_cohort(read_cohort(ACDC), radiocard.read_spec("cine_sax"), texture=False)


def test_no_patient_is_refused_and_twins_are_flagged(checked):
    table, issues = checked
    assert len(table) == len(radiocard.read_cohort(ACDC).cases)
    assert not [i for i in issues if i.severity == "refuse"]
    assert not table["orientation_proven"].any()


@pytest.mark.skipif(not TABLE, reason="real data: not run (RADIOCARD_ACDC_TABLE is not set)")
def test_volumes_equal_the_published_table(checked):
    table, _ = checked
    published = pd.read_csv(TABLE, index_col=0).loc[table.index]
    for ours, theirs in PUBLISHED.items():
        assert np.allclose(table[ours], published[theirs] / 1000, rtol=1e-6, atol=0)


def test_labels_in_the_order_of_another_data_set_are_refused():
    from dataclasses import replace

    from radiocard.cohort.row import case_row

    ref = replace(radiocard.read_cohort(ACDC).cases[0], labels=dict(LABELS_MNMS))
    result = case_row(ref, radiocard.read_spec("cine_sax"), texture=False)
    assert result.values is None
    assert "E_LABEL_ANATOMY" in {i.code for i in result.issues}
