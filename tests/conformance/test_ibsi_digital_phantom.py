"""Consensus values of the IBSI for its digital phantom, arXiv:1612.07003."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from radiocard.features.extract import extract_region
from radiocard.features.registry import FEATURES
from radiocard.image import Image

DATA = Path(__file__).parent / "data"
AGGREGATIONS = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
NO_CONSENSUS = {"morph_vol_dens_ombb", "morph_area_dens_ombb", "morph_vol_dens_mvee", "morph_area_dens_mvee"}
DEFERRED = {"morph_moran_i", "morph_geary_c"}

with (DATA / "ibsi_digital_phantom.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
COMPARED = [r for r in ROWS if r["value"] and r["tag"] not in DEFERRED]


def _tag(listed: str) -> str:
    """The tag that a specification with bins of width 1 gives to a listed one."""
    return f"{listed}_fbs1" if listed.startswith(("ih_", "cm_")) else listed


def _tolerance(row: dict[str, str]) -> float:
    """The published tolerance, or half a unit of the last digit that is printed."""
    decimals = len(row["value"].partition(".")[2])
    return max(float(row["tolerance"] or 0), 0.5 * 10**-decimals) * (1 + 1e-9)


@pytest.fixture(scope="module")
def found(make_spec):
    data = json.loads((DATA / "ibsi_digital_phantom.json").read_text(encoding="utf-8"))
    image = Image(np.array(data["image"], dtype=float), np.diag([*data["spacing_mm"], 1.0]))
    spec = make_spec(
        "cine_sax",
        normalisation={"method": "none", "within": "labelled"},
        discretisation={"method": "fbs", "width": 1, "max_bins": 10},  # levels equal the grey values
        glcm={"aggregation": AGGREGATIONS, "distance": 1},
    )
    return extract_region(image, np.array(data["mask"]) == 1, spec)


@pytest.mark.parametrize("row", COMPARED, ids=lambda r: r["tag"])
def test_value_is_the_consensus(row, found):
    value = found[_tag(row["tag"])]
    assert value is not None
    assert value == pytest.approx(float(row["value"]), rel=0, abs=_tolerance(row))


def test_every_listed_feature_is_computed(found):
    missing = {r["tag"] for r in ROWS if _tag(r["tag"]) not in found}
    assert missing == NO_CONSENSUS | DEFERRED


def test_every_feature_with_a_code_is_compared():
    listed = {r["tag"] for r in COMPARED}
    with_code = [f for f in FEATURES.values() if f.ibsi_code]
    expected = {f"{f.tag}_{a}" for f in with_code if f.family == "glcm" for a in AGGREGATIONS}
    expected |= {f.tag for f in with_code if f.family != "glcm"}
    assert expected == listed
    assert len(listed) == 23 + 18 + 23 + 6 * 25
