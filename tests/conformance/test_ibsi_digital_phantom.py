"""Consensus values of the IBSI for its digital phantom, arXiv:1612.07003."""

import csv
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from radiocard.features.extract import extract_region
from radiocard.features.registry import FEATURES, full_tags
from radiocard.image import Image
from radiocard.specs import Family

DATA = Path(__file__).parent / "data"
AGGREGATIONS = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb", "3d_avg", "3d_comb")
FAMILIES = tuple(family for family in get_args(Family) if family != "shape_2d")
NOT_COMPUTED = {"morph_vol_dens_ombb", "morph_area_dens_ombb", "morph_vol_dens_mvee", "morph_area_dens_mvee"}

with (DATA / "ibsi_digital_phantom.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
COMPARED = [row for row in ROWS if row["value"]]


def _tolerance(row: dict[str, str]) -> float:
    """The published tolerance, or half a unit of the last digit printed: three digits count."""
    whole, _, decimals = row["value"].partition(".")
    last = -len(decimals) if decimals else max(0, len(whole.lstrip("-")) - 3)
    return max(float(row["tolerance"] or 0), 0.5 * 10.0**last) * (1 + 1e-9)


@pytest.fixture(scope="module")
def spec(make_spec):
    return make_spec(
        "cine_sax",
        normalisation={"method": "none", "within": "labelled"},
        discretisation={"method": "fbs", "width": 1, "max_bins": 10},  # levels equal the grey values
        families=FAMILIES,
        ivh={"method": "none"},
        texture={"aggregation": AGGREGATIONS, "distances": [1], "weighting": "none", "coarseness": 0},
    )


@pytest.fixture(scope="module")
def found(spec):
    data = json.loads((DATA / "ibsi_digital_phantom.json").read_text(encoding="utf-8"))
    image = Image(np.array(data["image"], dtype=float), np.diag([*data["spacing_mm"], 1.0]))
    values = extract_region(image, np.array(data["mask"]) == 1, spec)
    return {tag.removesuffix("_fbs1"): value for tag, value in values.items()}


@pytest.mark.parametrize("row", COMPARED, ids=lambda r: r["tag"])
def test_value_is_the_consensus(row, found):
    value = found[row["tag"]]
    assert value is not None
    assert value == pytest.approx(float(row["value"]), rel=0, abs=_tolerance(row))


def test_every_listed_feature_is_computed(found):
    assert {row["tag"] for row in ROWS} - found.keys() == NOT_COMPUTED
    assert len(COMPARED) == 482


def test_every_feature_with_a_code_is_compared(spec):
    with_code = [f for f in FEATURES.values() if f.ibsi_code and f.family in FAMILIES]
    computed = {tag.removesuffix("_fbs1") for f in with_code for tag in full_tags(f, spec)}
    assert computed == {row["tag"] for row in ROWS} - NOT_COMPUTED
