"""Counts of the cohort report: age bands and units."""

import pytest

from radiocard.study.cohort_parts import data_part


@pytest.fixture
def counts(table):
    ages = [0, 17, 18, 79, 80, 104]
    attrs = table.attrs
    table = table.iloc[:6].assign(age_y=[float(a) for a in ages], field_strength_t=[1.5, 1.5, 3.0, 3.0, None, 7.0])
    table.attrs = attrs
    part = data_part(table, target="diagnosis", groups=list(table.index), limits={})
    return {t.title: {row.name: row.counts["all"] for row in t.rows} for t in part.counts}


def test_the_last_age_band_has_no_end(counts):
    assert counts["Age"] == {"0 to 17 y": 2, "18 to 39 y": 1, "60 to 79 y": 1, "80 y and older": 2}


def test_field_strength_is_in_tesla(counts):
    assert counts["Field strength"] == {"1.5 T": 2, "3 T": 2, "7 T": 1, "unknown": 1}
