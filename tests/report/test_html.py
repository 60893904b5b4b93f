import html.parser
import json
import re
import shutil
import subprocess

import pytest

from radiocard.report.html import range_place, render_cohort, render_patient
from radiocard.report.schema import CohortReport, PatientReport, to_json
from radiocard.report.text import NBSP, number, percent, signed

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e{{7*7}}$x$"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(html.parser.HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, page: str, *, without: tuple[str, ...] = ()):
        super().__init__()
        self.tags, self.attributes, self.texts, self.headings = [], [], [], []
        self._without, self._open = {"style", "title", *without}, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v or "") for k, v in attrs]
        if tag not in {"meta", "input", "link", "br", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if not self._without & set(self._open):
            self.texts.append(data)
            if data.strip() and {"h1", "h2", "h3", "h4"} & set(self._open):
                self.headings.append(data.strip())

    @property
    def text(self):
        return " ".join(self.texts)


def replace_strings(value, old, new):
    if isinstance(value, dict):
        return {replace_strings(k, old, new): replace_strings(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_strings(v, old, new) for v in value]
    return value.replace(old, new) if isinstance(value, str) else value


def poisoned(report, words):
    data = json.loads(to_json(report))
    for word in words:
        data = replace_strings(data, word, word + EVIL)
    return type(report).model_validate(data)


@pytest.fixture(scope="session")
def patient_page(make_patient):
    return render_patient(make_patient())


@pytest.fixture(scope="session")
def cohort_page(make_cohort):
    return render_cohort(make_cohort())


@pytest.fixture(params=["patient", "cohort"])
def page(request):
    return request.getfixturevalue(f"{request.param}_page")


def test_policy_language_and_size(page):
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src' in page
    assert '<html lang="en">' in page
    assert len(page.encode()) < 10_000_000


def test_nothing_outside_is_asked_for(page):
    parsed = Page(page)
    targets = [v for _, k, v in parsed.attributes if k in {"href", "src", "xlink:href", "action", "data", "srcset"}]
    assert all(t.startswith(("#", "data:image/png;base64,", "patients/")) for t in targets)
    assert not {"script", "iframe", "object", "embed", "link", "form", "base"} & set(parsed.tags)
    assert not [k for _, k, _ in parsed.attributes if k.startswith("on")]
    assert re.search(r"@import|url\((?!#)", page) is None


def test_ids_are_unique(page):
    ids = [v for _, k, v in Page(page).attributes if k == "id"]
    assert len(ids) == len(set(ids))


def test_figures_have_words_and_headers_a_scope(page):
    parsed = Page(page)
    assert page.count("<svg") == page.count('role="img" aria-label=') - page.count('<span class="mark') + page.count(
        'aria-hidden="true"><circle'
    ) + page.count('aria-hidden="true"><path d="M18 3') + page.count('aria-hidden="true"><path d="M11')
    assert parsed.tags.count("th") == sum(1 for tag, k, _ in parsed.attributes if tag == "th" and k == "scope")


PATIENT_WORDS = ("P0042", "DCM", "dilated", "LV ", "Volumes", "lvesv_ml", "W_STROKE", "Cut-offs", "site A", "Sex", "mL")
COHORT_WORDS = ("P0012", "DCM", "dilated", "SVM", "Example", "LV ", "lvedv_ml", "Site", "found", "Limit")


@pytest.mark.parametrize(("kind", "words"), [("patient", PATIENT_WORDS), ("cohort", COHORT_WORDS)])
def test_text_is_never_markup(kind, words, request):
    report = poisoned(request.getfixturevalue(f"make_{kind}")(), words)
    page = render_patient(report) if kind == "patient" else render_cohort(report)
    clean = Page(page)
    assert "script" not in clean.tags
    assert not [k for _, k, _ in clean.attributes if k.startswith("on")]
    assert "\u202e" not in page
    assert "[U+202E]" in clean.text
    assert "{{7*7}}" in clean.text
    assert page.count("</style>") == 1


def test_empty_patient_report_has_only_a_record(make_patient):
    page = Page(render_patient(PatientReport(patient_id="P1")))
    assert page.headings == ["P1", "Record", "Reader"]
    assert "svg" not in page.tags


def test_empty_cohort_report_has_no_section():
    page = Page(render_cohort(CohortReport(title="C")))
    assert page.headings == ["C"]
    assert not {"section", "svg", "table"} & set(page.tags)


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("answer", {"Answer", "What speaks for it", "What speaks against it", "What this model cannot name"}),
        ("images", {"Images", "End-diastole", "End-systole"}),
        ("why", {"From the average patient to this answer", "By kind of evidence"}),
        ("rule", {"The published class definitions"}),
    ],
)
def test_absent_patient_part_leaves_no_heading(make_patient, patient_page, part, gone):
    assert gone <= set(Page(patient_page).headings)
    lighter = make_patient(**{part: None}).model_copy(update={"bulls_eyes": []})
    assert not gone & set(Page(render_patient(lighter)).headings)


@pytest.mark.parametrize("part", ["data", "features", "performance", "trust", "reasons"])
def test_absent_cohort_part_leaves_no_heading(make_cohort, cohort_page, part):
    assert part.capitalize() in Page(cohort_page).headings
    others = dict.fromkeys({"data", "performance", "reasons", "trust"} - {part})
    page = render_cohort(make_cohort(**others, **{part: None}))
    assert part.capitalize() not in Page(page).headings
    assert f'"#{part}"' not in page


def test_parts_of_later_work_are_absent(patient_page, cohort_page):
    for word in ("onformal", "istribution light", "ecision curve", "ermutation", "armonis", "ICC"):
        assert word not in Page(patient_page).text
        assert word not in Page(cohort_page).text


def test_reference_columns_appear_only_with_a_reference(make_patient):
    report = make_patient()
    bare = [r.model_copy(update={"reference_low": None, "reference_high": None, "z": None, "position": None})
            for r in report.measures.rows]  # fmt: skip
    measures = report.measures.model_copy(update={"rows": bare, "reference": None})
    page = render_patient(PatientReport(patient_id="P1", measures=measures.model_dump()))
    assert "Reference</th>" not in page
    assert ">z</th>" not in page


def numbers_in(data):
    """Every number of a JSON document, in each way the page may print it, and every number inside its strings."""
    found = set()
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += [*item.values(), *item]
        elif isinstance(item, list):
            found.add(str(len(item)))
            stack += item
        elif isinstance(item, str):
            found |= set(re.findall(r"\d+(?:\.\d+)?", item))
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            ways = [
                number(item),
                *(number(item, d) for d in range(4)),
                percent(item),
                signed(item),
                f"{item * 100:.0f}",
            ]
            found |= {n for way in ways for n in re.findall(r"\d+(?:\.\d+)?", way)}
    return found


@pytest.mark.parametrize("kind", ["patient", "cohort"])
def test_json_holds_every_number_of_the_page(kind, request):
    report = request.getfixturevalue(f"make_{kind}")()
    page = Page(request.getfixturevalue(f"{kind}_page"), without=("svg",))
    shown = set(re.findall(r"\d+(?:\.\d+)?", page.text))
    constants = {"95", "0.001"}  # "95 % interval", "p < 0.001"
    assert shown - numbers_in(json.loads(to_json(report))) - constants == set()


def test_unsigned_is_preliminary_and_signed_is_not(make_patient, patient_page):
    assert "Preliminary: not signed" in Page(patient_page).text
    record = make_patient().record
    signature = {"reader": "Dr. A. Reader", "agreement": "disagrees", "date": "2030-02-01", "comment": "Infarct."}
    signed_page = Page(
        render_patient(PatientReport(patient_id="P1", record=record.model_dump() | {"signature": signature}))
    )
    assert "reliminary" not in signed_page.text
    assert "Dr. A. Reader disagrees with the answer. Signed 2030-02-01." in signed_page.text


def test_banner_and_stamps(patient_page):
    assert "Research use. Not a medical device. A person decides." in Page(patient_page).text
    assert "Simulated data" not in patient_page
    assert "Simulated data" in Page(render_patient(PatientReport(patient_id="P1", simulated=True))).text
    assert "Simulated data" in Page(render_cohort(CohortReport(title="C", simulated=True))).text
    forced = render_patient(PatientReport(patient_id="P1", override="Forced"))
    assert "Forced" in Page(forced).text
    assert re.search(r'@top-right \{ content: "Forced";', forced)


@pytest.mark.parametrize(
    ("value", "place", "outside"),
    [(60, 33, False), (90, 67, False), (75, 50, False), (500, 98.5, True), (-500, 1.5, True)],
)
def test_range_place(value, place, outside):
    found = range_place(60, 90, value)
    assert found.value == pytest.approx(place)
    assert found.outside is outside


def test_no_range_without_limits():
    assert range_place(None, 90, 70) is None
    assert range_place(60, 90, None) is None


def test_waterfall_bars_meet(patient_page):
    """Each bar starts where the one before it ended."""
    rows = re.findall(
        r'class="link" style="left:([\d.]+)%"></div><div class="bar (\w+)" style="left:([\d.]+)%;width:([\d.]+)%',
        patient_page,
    )
    ends = [float(end) for end, *_ in rows]
    for i, (_, way, left, width) in enumerate(rows):
        start = float(left) if way == "up" else float(left) + float(width)
        if i and i != 7:  # the second waterfall begins at its own base
            assert start == pytest.approx(ends[i - 1], abs=0.03)


def test_probability_words(patient_page):
    assert f"81{NBSP}%" in patient_page
    assert f"&lt;{NBSP}1{NBSP}%" in patient_page


@pytest.mark.skipif(CHROMIUM is None, reason="not run: no chromium")
@pytest.mark.parametrize("kind", ["patient", "cohort"])
def test_real_browser_has_no_error_and_no_overflow_on_a_phone(kind, tmp_path, request):
    (tmp_path / "page.html").write_text(request.getfixturevalue(f"{kind}_page"), encoding="utf-8")
    (tmp_path / "phone.html").write_text(
        "<!doctype html><iframe id=f src=page.html style='width:390px;height:900px;border:0'></iframe><script>"
        "onload=()=>{const d=document.getElementById('f').contentDocument,e=d.documentElement;"
        "const s=e.scrollWidth-e.clientWidth;"
        "document.title='overflow '+s+' sections '+d.querySelectorAll('section').length}</script>"
    )
    result = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync", "--allow-file-access-from-files", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "phone.html").as_uri()],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    sections = request.getfixturevalue(f"{kind}_page").count("<section")
    assert f"<title>overflow 0 sections {sections}</title>" in result.stdout
    assert "CONSOLE" not in result.stderr


# --- maps


def with_maps(sample):
    """The sample report with two maps in place of the cine pictures."""
    cine = sample["images"]["slices"][:3]
    bars = [
        {"title": "Native T1", "unit": "ms", "low": 600.0, "high": 1800.0},
        {"title": "ECV", "unit": "%", "low": 0.0, "high": 80.0},
    ]
    slices = [s | {"phase": None, "bar": bar} for bar in bars for s in reversed(cine)]
    return PatientReport.model_validate(sample | {"images": sample["images"] | {"slices": slices}})


def test_maps_have_a_heading_three_levels_and_one_bar_each(patient_sample):
    page = render_patient(with_maps(patient_sample))
    headings = Page(page).headings
    assert headings.index("Native T1") < headings.index("ECV")
    assert "End-diastole" not in headings
    assert page.count('class="map-bar"') == 2
    assert page.count('class="slice"') == 6
    captions = re.findall(r"<figcaption>(Basal|Mid|Apical)", page)
    assert captions == ["Basal", "Mid", "Apical"] * 2
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_picture_is_grey_or_has_its_colours_explained(patient_sample):
    assert 'class="map-bar"' not in render_patient(PatientReport.model_validate(patient_sample))
    broken = json.loads(json.dumps(patient_sample["images"]["slices"][0])) | {"bar": {"title": "T2", "unit": "ms"}}
    with pytest.raises(ValueError, match="low"):
        PatientReport.model_validate(patient_sample | {"images": {"slices": [broken]}})


def test_the_stamp_of_every_printed_page_keeps_its_spaces(patient_page):
    """In a style sheet the space after an escaped character belongs to the escape."""
    (line,) = re.findall(r'@top-right { content: "([^"]*)"', patient_page)
    decoded = re.sub(r"\\([0-9a-f]{1,6}) ?", lambda m: chr(int(m[1], 16)), line)
    assert " \u00b7 " in decoded or "\u00b7" not in decoded
