"""Normals with known means: what may be compared, and what may not."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from radiocard.cardiac.map_reference import local_z, make_reference
from radiocard.errors import SpecError
from radiocard.specs.maps import LocalReference, read_local_reference
from radiocard.specs.validate import parse_as

VALUES = {"t1_native_ms": 1070.0, "t1_native_septal_ms": None, "ecv_pct": 26.0, "lvef_pct": 60.0}


def entry(**change):
    base = {"sequence": "t1_native", "column": "t1_native_ms", "field_strength_t": 1.5, "mean": 1010.0, "sd": 30.0,
            "n": 20, "unit": "ms"}  # fmt: skip
    return base | change


def reference(*entries):
    return parse_as(LocalReference, {"schema": "radiocard/map-reference/1", "site": "north", "entries": entries}, "n")


def compare(ref, values=VALUES, **change):
    where = {"sequence": "t1_native", "site": "north", "field_strength_t": 1.5} | change
    return local_z(values, ref, **where)


def test_z_is_distance_in_standard_deviations():
    found = compare(reference(entry(), entry(column="t1_native_septal_ms")))
    assert set(found.ranges) == {"t1_native_ms", "t1_native_septal_ms"}
    one = found.ranges["t1_native_ms"]
    assert one.z == 2.0
    assert (one.low, one.high) == pytest.approx((1010 - 1.96 * 30, 1010 + 1.96 * 30))
    assert found.ranges["t1_native_septal_ms"].z is None
    assert found.sentence == "Native T1 is compared with 20 normals of site north (1.5 T)."


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"site": "south"}, "the normals are of site north and this case is of site south"),
        ({"site": None}, "the normals are of site north and the case states no site"),
        ({"field_strength_t": None}, "the case states no field strength"),
        ({"field_strength_t": 3.0}, r"site north has no normals at 3 T \(it has 1.5 T\)"),
        ({"sequence": "t2"}, r"T2 is not .* site north has no normals at 1.5 T \(it has no field strength\)"),
        ({"sequence": "ecv"}, "ECV is not compared with normal values"),
    ],
)
def test_other_scanners_are_not_compared(change, why):
    found = compare(reference(entry()), **change)
    assert found.ranges == {}
    assert "is not compared with normal values" in found.sentence
    assert re.search(why, found.sentence)


def test_a_field_strength_as_some_scanners_state_it_is_the_same():
    assert compare(reference(entry()), field_strength_t=1.494).ranges["t1_native_ms"].z == 2.0


@pytest.mark.parametrize("key", ["vendor", "scanner", "acquisition"])
def test_what_the_normals_state_the_case_must_match(key):
    ref = reference(entry(**{key: "MOLLI 5(3)3"}))
    assert compare(ref, **{key: "molli 5(3) 3"}).ranges["t1_native_ms"].z == 2.0
    unknown, other = compare(ref), compare(ref, **{key: "SASHA"})
    assert unknown.ranges == other.ranges == {}
    assert f"{key} is unknown, theirs is MOLLI 5(3)3" in unknown.sentence
    assert f"{key} is SASHA, theirs is MOLLI 5(3)3" in other.sentence


def test_the_group_that_states_most_is_taken():
    ref = reference(entry(), entry(scanner="B", mean=1040.0))
    assert compare(ref, scanner="B").ranges["t1_native_ms"].z == 1.0
    assert compare(ref, scanner="A").ranges["t1_native_ms"].z == 2.0


def test_two_groups_that_fit_alike_give_nothing():
    ref = reference(entry(vendor="V"), entry(acquisition="MOLLI"))
    found = compare(ref, vendor="V", acquisition="MOLLI")
    assert found.ranges == {}
    assert "more than one group of normals of site north fits this case (t1_native_ms)" in found.sentence


def test_no_column_in_common_is_said():
    found = compare(reference(entry()), values={"lvef_pct": 60.0})
    assert found.sentence.endswith("the normals of site north hold none of the measured columns.")


def normals(n=20, field=1.5, seed=0, **place):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient_id": [f"n{i}" for i in range(n)],
            "field_strength_t": field,
            **place,
            "t1_native_ms": rng.normal(1010, 30, n),
            "t1_native_aha_03_ms": rng.normal(1020, 45, n),
            "t1_native_gradient_aha_03_ms": rng.normal(0, 10, n),
            "t1_native_n_aha_03": 40.0,
            "t2_mad_log_sd": rng.uniform(0.1, 0.2, n),
            "ecv_pct": np.nan,
            "lvef_pct": 60.0,
        }
    )


def test_a_reference_is_mean_and_sd_of_each_group():
    a, b = normals(20, 1.5), normals(30, 3.0, seed=1)
    ref = make_reference(pd.concat([a, b]), site="north")
    assert ref.site == "north"
    found = {(e.column, e.field_strength_t): e for e in ref.entries}
    assert set(found) == {(c, t) for c in ("t1_native_ms", "t1_native_aha_03_ms") for t in (1.5, 3.0)}
    for table, field in ((a, 1.5), (b, 3.0)):
        e, x = found["t1_native_ms", field], table["t1_native_ms"]
        assert (e.mean, e.sd, e.n) == pytest.approx((x.mean(), x.std(), len(x)))
        assert (e.unit, e.vendor, e.scanner, e.acquisition) == ("ms", None, None, None)


def test_scanners_make_groups_of_their_own():
    table = pd.concat([normals(16, scanner="A"), normals(18, seed=2, scanner="B")])
    ref = make_reference(table.assign(vendor=None), site="north")
    assert {(e.scanner, e.n) for e in ref.entries} == {("A", 16), ("B", 18)}
    assert all(e.vendor is None for e in ref.entries)
    z = {s: compare(ref, scanner=s).ranges["t1_native_ms"].z for s in "AB"}
    assert z["A"] != z["B"]


def test_a_reference_survives_its_file(tmp_path):
    ref = make_reference(normals(), site="north")
    path = tmp_path / "north.yaml"
    path.write_text(json.dumps(ref.model_dump(mode="json", by_alias=True)))  # JSON is YAML 1.2
    assert read_local_reference(path) == ref


@pytest.mark.parametrize("n", [1, 14])
def test_few_normals_are_refused(n):
    table = pd.concat([normals(20, 3.0), normals(n, 1.5)])
    with pytest.raises(
        SpecError, match=rf"{n} normals have t1_native_ms \(field_strength_t 1.5\), expected at least 15"
    ):
        make_reference(table, site="north")


def test_fifteen_normals_are_enough():
    assert {e.n for e in make_reference(normals(15), site="north").entries} == {15}


def test_a_segment_that_few_normals_have_is_left_out():
    table = normals(20)
    table.loc[:7, "t1_native_aha_03_ms"] = np.nan
    assert {e.column for e in make_reference(table, site="north").entries} == {"t1_native_ms"}


def test_a_table_that_cannot_be_a_reference_is_refused():
    with pytest.raises(SpecError, match=r"has no column of a map. Expected columns such as t1_native_ms, t1_post_ms"):
        make_reference(normals()[["patient_id", "field_strength_t", "lvef_pct"]], site="north")
    with pytest.raises(SpecError, match="lacks 'field_strength_t' for some rows"):
        make_reference(normals().drop(columns="field_strength_t"), site="north")
    with pytest.raises(SpecError, match="lacks 'field_strength_t' for some rows"):
        make_reference(normals().assign(field_strength_t=[np.nan, *[1.5] * 19]), site="north")
