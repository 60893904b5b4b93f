"""The section of checklists on the page: escaped, readable without script, printed open."""

import re
import shutil
import subprocess

import pytest
from pydantic import ValidationError

from radiocard.report.html import render_cohort
from radiocard.report.schema_checklist import Checklist
from radiocard.report.schema_cohort import CohortReport

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PDFTOTEXT = shutil.which("pdftotext")
EVIL = "<script>alert(1)</script>\u202e{{7*7}}"
ROWS = [
    {"number": "1", "topic": "Title", "status": "open", "write": f"a title. {EVIL}"},
    {"number": "2", "topic": f"Split {EVIL}", "status": "answered", "answer": f"Five folds {EVIL}"},
    {"number": "3", "topic": "Ethics", "status": "not applicable", "answer": "Simulated."},
    {"number": "C1", "topic": "Condition", "status": "answered", "condition": True, "answer": "Yes."},
]
CHECKLIST = {
    "key": "clear",
    "title": f"CLEAR {EVIL}",
    "citation": "Kocak",
    "doi": "10.1/x",
    "n_items": 3,
    "n_answered": 1,
    "n_open": 1,
    "n_not_applicable": 1,
    "groups": [{"title": "Study", "rows": ROWS}],
}
PROCESSING = [{"title": "Discretisation", "rows": [{"topic": "Texture", "setting": f"32 bins {EVIL}"}]}]


@pytest.fixture(scope="module")
def page():
    section = {"note": "No score.", "checklists": [CHECKLIST], "processing": PROCESSING}
    return render_cohort(CohortReport(title="T", checklists=section))


def test_counts_stand_at_the_top(page):
    assert "1 of 3 answered by this run; 1 open; 1 not applicable." in page
    assert page.index("1 of 3 answered") < page.index("<details>") < page.index("Five folds")


def test_each_status_has_words(page):
    body = re.sub(r"<[^>]+>", " ", page[page.index("<details>") :])
    assert re.search(r"Open\.\s+Write a title", body)
    assert re.search(r"Not applicable\.\s+Simulated", body)


def test_text_is_never_markup(page):
    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_headers_have_a_scope(page):
    assert page.count("<th ") == len(re.findall(r"<th [^>]*scope=", page))


def test_a_report_without_checklists_has_no_section():
    assert "checklists" not in render_cohort(CohortReport(title="T"))


def test_paper_shows_every_item(page, tmp_path):
    if CHROMIUM is None or PDFTOTEXT is None:
        pytest.skip("not run: no chromium or pdftotext")
    (tmp_path / "p.html").write_text(page)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run(
        [CHROMIUM, *flags, f"--print-to-pdf={tmp_path / 'p.pdf'}", f"file://{tmp_path / 'p.html'}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    printed = subprocess.run(
        [PDFTOTEXT, str(tmp_path / "p.pdf"), "-"], check=True, capture_output=True, text=True
    ).stdout
    assert "Five folds" in printed
    assert "Simulated." in printed


def test_pdf_shows_every_item(page):
    weasyprint = pytest.importorskip("weasyprint", reason="not run: no weasyprint")
    pages = weasyprint.HTML(string=page).render().pages

    def words(box):
        return getattr(box, "text", "") + " ".join(words(child) for child in getattr(box, "children", ()))

    shown = " ".join(words(p._page_box) for p in pages)
    assert "Five folds" in shown
    assert "item by item" not in shown


def test_a_status_must_be_known():
    with pytest.raises(ValidationError, match="answered"):
        Checklist.model_validate(CHECKLIST | {"groups": [{"title": "s", "rows": [ROWS[0] | {"status": "good"}]}]})
