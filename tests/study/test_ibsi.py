"""The IBSI check on its digital phantom, which is part of the tests, and on all data where they are at hand."""

import csv
import json
import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radiocard.errors import CohortError, GeometryError, ReadError
from radiocard.study.ibsi import ConfigurationResult, IbsiResult, Reference, check
from radiocard.study.ibsi_settings import configurations
from radiocard.study.ibsi_table import compliance_table, summary_lines

DATA = Path(__file__).parents[1] / "conformance" / "data"
IBSI = os.environ.get("RADIOCARD_IBSI")
HEADER = "dataset,family,feature,consensus,reference value,tolerance,your result,difference,check,tag"
CONSENSUS = list(csv.DictReader((DATA / "ibsi_digital_phantom.csv").read_text(encoding="utf-8").splitlines()))


def sheet_tag(tag):
    """Spell the dimension as the published sheets do: cm_corr_2_5D_avg."""
    return re.sub(r"_(2|2_5|3)d(?=_avg|_comb|$)", r"_\1D", tag)


def write_phantom(folder, image="image.nii.gz", mask="mask.nii.gz"):
    data = json.loads((DATA / "ibsi_digital_phantom.json").read_text(encoding="utf-8"))
    for name, key in ((image, "image"), (mask, "mask")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.array(data[key], dtype=np.int16)
        nib.save(nib.Nifti1Image(array, np.diag([*data["spacing_mm"], 1.0])), path)


def write_sheet(folder, change=lambda tag, value: value):
    lines = [HEADER]
    for row in CONSENSUS:
        agreed = ">= 10" if row["value"] else "not standardized"
        value = change(row["tag"], row["value"])
        lines.append(f"digital phantom,F,f,{agreed},{value},{row['tolerance']},,,,{sheet_tag(row['tag'])}")
    (folder / "reference_values").mkdir()
    (folder / "reference_values" / "digital_phantom.csv").write_text("\n".join(lines), encoding="utf-8-sig")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ibsi")
    write_phantom(folder / "digital_phantom")
    return folder


@pytest.mark.parametrize(
    ("reference", "tolerance", "value", "verdict"),
    [
        ("2.15", 0, 2.1486, "within"),
        ("2.15", 0, 2.1449, "outside"),
        ("1490", 0, 1494.9, "within"),
        ("1490", 0, 1495.1, "outside"),
        ("0.698", 0.004, 0.7024, "within"),
        ("0.698", 0.004, 0.7026, "outside"),
        ("125256", 0, 125256.0, "within"),
        ("125256", 0, 125300.0, "outside"),
        ("-46.9", 0, -46.88, "within"),
        ("0.0000698", 0, 0.00006978, "within"),
        ("0.977", 0, 0.9769999980926514, "within"),
        ("0", 0, 0.0, "within"),
        ("1.49e3", 0, 1494.0, "within"),
        ("2.15", 0, None, "missing"),
    ],
)
def test_a_value_agrees_to_the_printed_digits_or_within_the_tolerance(reference, tolerance, value, verdict):
    assert Reference("F", "f", "t", "6-9", reference, tolerance).verdict(value) == verdict


def test_without_consensus_nothing_is_compared():
    assert Reference("F", "f", "t", "not standardized", "", 0).verdict(3.0) == "no consensus"
    assert Reference("F", "f", "t", "< 3", "5", 0).verdict(3.0) == "no consensus"


def test_configurations_are_those_of_the_reference_manual():
    digital, a, b, c, d, e = configurations()
    assert [x.name for x in (digital, a, e)] == ["digital phantom", "configuration A", "configuration E"]
    assert (a.spec.resampling, a.spec.resegmentation.range, a.spec.discretisation.tag) == (None, (-500, 400), "fbs25")
    assert b.spec.resampling.spacing_mm == (2, 2, 0)
    assert b.spec.discretisation.tag == "fbn32"
    assert {x.spec.resampling.spacing_mm for x in (c, d, e)} == {(2, 2, 2)}
    assert [x.spec.resampling.interpolation for x in (b, c, d, e)] == ["linear", "linear", "linear", "bspline"]
    assert (c.spec.resegmentation.range, c.spec.resegmentation.outliers_sd) == ((-1000, 400), None)
    assert (d.spec.resegmentation.range, d.spec.resegmentation.outliers_sd) == (None, 3)
    assert (e.spec.resegmentation.range, e.spec.resegmentation.outliers_sd) == ((-1000, 400), 3)
    assert [x.spec.ivh.tag for x in (a, b, c, d, e)] == ["", "", "fbs2p5", "", "fbn1000"]
    assert all(x.spec.resampling.round_grey for x in (b, c, d, e))


def test_the_tags_are_those_of_the_sheet():
    digital = configurations()[0]
    not_computed = {f"morph_{kind}_dens_{box}" for kind in ("vol", "area") for box in ("ombb", "mvee")}
    assert set(digital.tags) == {sheet_tag(row["tag"]) for row in CONSENSUS} - not_computed


def test_the_digital_phantom_complies(folder, tmp_path):
    write_phantom(tmp_path / "digital_phantom")
    write_sheet(tmp_path)
    result = check(tmp_path)
    digital, *chest = result.configurations
    assert digital.count("within") == sum(bool(row["value"]) for row in CONSENSUS) == 482
    assert digital.count("outside") == digital.count("missing") == 0
    assert digital.count("no consensus") == 5
    assert all(found.values is None for found in chest)
    assert IbsiResult((digital,)).complies
    assert result.compared
    assert not result.complies  # the other configurations were not run
    table = compliance_table(result)
    assert "| digital phantom | 487 | 482 | 0 | 0 | 5 |" in table
    assert "| configuration A | not run | | | | |" in table
    rows = result.rows()
    assert len(rows) == 483
    assert {"config": "digital phantom", "tag": "stat_mean", "value": pytest.approx(2.1486, abs=1e-4)} in rows


def test_what_is_outside_or_missing_is_listed(tmp_path):
    write_phantom(tmp_path / "digital_phantom")
    write_sheet(tmp_path, lambda tag, value: {"stat_mean": "2.25", "morph_vol_dens_ombb": "0.5"}.get(tag, value))
    text = (tmp_path / "reference_values" / "digital_phantom.csv").read_text(encoding="utf-8-sig")
    text = text.replace("not standardized,0.5,", "3-5,0.5,")
    (tmp_path / "reference_values" / "digital_phantom.csv").write_text(text, encoding="utf-8")
    result = check(tmp_path)
    assert not result.complies
    table = compliance_table(result)
    assert "Outside the tolerance:" in table
    assert "`stat_mean` | 2.25 | 0 | >= 10 | 2.14865 |" in table
    assert "Missing:" in table
    assert "`morph_vol_dens_ombb` | 0.5 |" in table
    lines = "\n".join(summary_lines(result))
    assert "482 within, 1 outside" not in lines
    assert "  outside: stat_mean is 2.148" in lines


def test_the_published_layout_is_read_and_need_not_hold_references(tmp_path):
    published = tmp_path / "ibsi_1_digital_phantom" / "nifti"
    write_phantom(published, "image/phantom.nii.gz", "mask/mask.nii.gz")
    result = check(tmp_path)
    assert len(result.rows()) == 483
    assert not result.compared
    assert not result.complies
    assert "483 values, not compared: no digital_phantom.csv" in summary_lines(result)[0]
    assert "| digital phantom | 483 | not compared | | | |" in compliance_table(result)


def test_a_sheet_without_consensus_values_compares_nothing():
    digital = configurations()[0]
    agreed, other = (Reference("F", "f", "t", consensus, "5", 0) for consensus in ("3-5", "not standardized"))
    for references, compared in (((), False), ((other,), False), ((other, agreed), True)):
        result = IbsiResult((ConfigurationResult(digital, {"t": 5.0}, references),))
        assert result.compared is result.complies is compared
    assert not IbsiResult((ConfigurationResult(digital, None, (agreed,)),)).compared


def test_a_mask_on_another_grid_is_refused(tmp_path):
    write_phantom(tmp_path / "digital_phantom")
    path = tmp_path / "digital_phantom" / "mask.nii.gz"
    mask = nib.load(path)
    moved = mask.affine.copy()
    moved[0, 3] += 1
    nib.save(nib.Nifti1Image(np.asarray(mask.dataobj), moved), path)
    with pytest.raises(GeometryError, match="Image and mask are on different grids"):
        check(tmp_path)


def test_a_sheet_without_its_phantom_is_not_complied_with(tmp_path):
    write_phantom(tmp_path / "digital_phantom")
    write_sheet(tmp_path)
    sheets = tmp_path / "reference_values"
    (sheets / "digital_phantom.csv").rename(sheets / "config_A.csv")
    result = check(tmp_path)
    assert not result.complies
    assert "not run: no ct_phantom with image and mask" in summary_lines(result)[1]
    assert "Not run: the data have no ct_phantom" in compliance_table(result)


def test_what_is_wrong_with_the_folder_is_said(tmp_path):
    with pytest.raises(CohortError, match="holds no IBSI phantom: expected digital_phantom, ct_phantom"):
        check(tmp_path)
    write_phantom(tmp_path / "digital_phantom")
    sheet = tmp_path / "reference_values" / "digital_phantom.csv"
    sheet.parent.mkdir()
    sheet.write_text("a,b\n1,2\n")
    with pytest.raises(CohortError, match="not a reference sheet: it lacks family, feature"):
        check(tmp_path)
    sheet.write_text(f"{HEADER}\ndigital phantom,F,f,6-9,2.x,0,,,,stat_mean\n")
    with pytest.raises(ReadError, match="stat_mean: reference '2.x' and tolerance '0' must be numbers"):
        check(tmp_path)
    sheet.write_bytes(b"\xff\xfe")
    with pytest.raises(CohortError, match="is not UTF-8 text"):
        check(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(IBSI is None, reason="not run: RADIOCARD_IBSI does not name the folder of the phantoms")
def test_all_configurations_comply():
    result = check(IBSI)
    assert result.complies, "\n".join(summary_lines(result))
    assert all(found.values and found.references for found in result.configurations)
