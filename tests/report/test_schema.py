import math

import pytest
from pydantic import ValidationError

from radiocard.report.schema import CohortReport, PatientReport, json_schema, to_json
from radiocard.report.schema_cohort import StripDot
from radiocard.report.schema_patient import SlicePicture


def test_patient_round_trip(make_patient):
    report = make_patient()
    assert PatientReport.model_validate_json(to_json(report)) == report


def test_cohort_round_trip(make_cohort):
    report = make_cohort()
    assert CohortReport.model_validate_json(to_json(report)) == report


@pytest.mark.parametrize("kind", ["patient", "cohort"])
def test_schema_names_itself_and_describes_every_field(kind):
    schema = json_schema(kind)
    assert schema["properties"]["schema"]["const"] == f"radiocard/{kind}-report/1"
    undescribed = [
        f"{name}.{field}"
        for name, part in {**schema["$defs"], kind: schema}.items()
        for field, about in part["properties"].items()
        if not about.get("description") and name != "Letters"
    ]
    assert undescribed == []
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_only_an_identity_is_required():
    assert PatientReport(patient_id="P1").answer is None
    assert CohortReport(title="C").performance is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"conformal_set": ["DCM"]}, "Extra inputs"),
        ({"bulls_eyes": [{"title": "t", "unit": "mm", "values": [1.0] * 15}]}, "at least 16"),
        ({"measures": {"rows": [{"group": "g", "column": "c", "name": "n", "unit": "", "value": math.nan}]}}, "finite"),
    ],
)
def test_patient_refusals(change, match):
    with pytest.raises(ValidationError, match=match):
        PatientReport.model_validate({"patient_id": "P1"} | change)


def test_a_picture_must_be_a_png(make_patient):
    picture = make_patient().images.slices[0].model_dump()
    with pytest.raises(ValidationError, match="not a PNG"):
        SlicePicture.model_validate(picture | {"png_base64": "PHN2Zz4="})


@pytest.mark.parametrize(
    "href", ["https://x.org", "//x.org", "javascript:alert(1)", "../x.html", "/etc/x", "a/../b", ""]
)
def test_links_stay_beside_the_report(href):
    with pytest.raises(ValidationError, match="pattern"):
        StripDot(case="P1", value=1.0, href=href)


@pytest.mark.parametrize("href", ["P001.html", "patients/P-1_a.html", "#P001"])
def test_relative_links_are_taken(href):
    assert StripDot(case="P1", value=1.0, href=href).href == href
