import os
import sys

import pytest

from radiocard.errors import MissingExtraError
from radiocard.report.html import render_patient
from radiocard.report.pdf import to_pdf
from radiocard.report.schema import PatientReport


@pytest.fixture
def weasyprint():
    if os.environ.get("RADIOCARD_REQUIRE") == "all":
        import weasyprint
    else:
        weasyprint = pytest.importorskip("weasyprint", reason="not run: no weasyprint")
    return weasyprint


def test_pdf_is_made(weasyprint, make_patient):
    report = make_patient(images=None, bulls_eyes=[], why=None)
    data = to_pdf(render_patient(report))
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")


def test_pdf_fetches_nothing(weasyprint, tmp_path, monkeypatch):
    """A page that asks for a file or an address gets neither."""
    asked = []
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda self, request, *a, **k: asked.append(request))
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    to_pdf(f"<img src='{secret.as_uri()}'><img src='http://127.0.0.1:9/x.png'>")
    assert asked == []


def test_missing_extra_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(MissingExtraError, match=r"PDF report needs weasyprint.*pip install 'radiocard\[pdf\]'"):
        to_pdf(render_patient(PatientReport(patient_id="P1")))
