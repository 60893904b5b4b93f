import re
import warnings

import numpy as np
import pytest
from markupsafe import Markup

from radiocard.report import figures, figures_cohort, figures_patient
from radiocard.report.schema import CohortReport
from radiocard.report.schema_patient import BullsEye, ColourBar, SlicePicture
from radiocard.report.schema_why import FeatureStory


def eye(**changes):
    return BullsEye(**{"title": "Thickness", "unit": "mm", "values": [float(i) for i in range(1, 17)]} | changes)


def middle(segment):
    inner, outer, start, span = figures_patient.segment_place(segment)
    angle, radius = np.radians(start + span / 2), (inner + outer) / 2
    return radius * np.cos(angle), radius * np.sin(angle)


def test_aha_layout():
    """Cerqueira 2002: anterior on top, septum left; 2 anteroseptal, 3 inferoseptal."""
    for anterior, inferior in ((1, 4), (7, 10), (13, 15)):
        assert middle(anterior)[0] == pytest.approx(0, abs=1e-9)
        assert middle(anterior)[1] > 0 > middle(inferior)[1]
    for septal in (2, 3, 8, 9, 14):
        assert middle(septal)[0] < 0
    for lateral in (5, 6, 11, 12, 16):
        assert middle(lateral)[0] > 0
    assert middle(2)[1] > 0 > middle(3)[1]
    assert middle(6)[1] > 0 > middle(5)[1]


def test_segments_tile_the_disc():
    places = [figures_patient.segment_place(s) for s in range(1, 17)]
    area = sum(np.pi * (outer**2 - inner**2) * span / 360 for inner, outer, _, span in places)
    assert area == pytest.approx(np.pi * (1 - 0.12**2))


def test_walls_are_named_only_when_proven():
    assert "Anterior</text>" in figures_patient.bulls_eye(eye(), key="a")
    assert "Anterior</text>" not in figures_patient.bulls_eye(eye(proven=False), key="a")


def test_bulls_eye_of_nothing():
    assert figures_patient.bulls_eye(eye(values=[None] * 16), key="a").count("–</text>") == 16


def test_ids_of_two_equal_figures_differ():
    first, second = (set(re.findall(r'\sid="([^"]+)"', figures_patient.bulls_eye(eye(), key=key))) for key in "ab")
    assert first
    assert not first & second


def test_references_stay_inside_the_figure(make_cohort):
    svg = figures_cohort.check_strip(make_cohort().data.checks[0], key="k", palette={}, names={})
    ids = set(re.findall(r'\sid="([^"]+)"', svg))
    inner = set(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', svg))
    assert inner
    assert inner <= ids


def test_dots_link_to_reports(make_cohort):
    svg = figures_cohort.check_strip(make_cohort().data.checks[0], key="k", palette={}, names={})
    assert 'xlink:href="patients/P0001.html"' in svg


def test_same_input_same_bytes():
    assert figures_patient.bulls_eye(eye(), key="k") == figures_patient.bulls_eye(eye(), key="k")


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "$\\frac{1}{0}$", "a & 'b' \"c\"", "x\u202ey", "a]]>b", "<!-- x -->"]
)
def test_hostile_text_in_svg_is_text(text):
    story = FeatureStory(column="c", name=text, meaning=text, unit=text[:12], value=1.0, strip={text: [1.0, 2.0]})
    svg = figures_patient.strip(story, key="k", palette={}, names={})
    assert isinstance(svg, Markup)
    assert "<script" not in svg
    assert "\u202e" not in svg
    assert "<!--" not in svg


def test_dollar_signs_are_not_formulas():
    story = FeatureStory(column="c", name="n", meaning="m", unit="", value=1.0, strip={"$x_1$": [1.0, 2.0]})
    assert ">$x_1$</text>" in figures_patient.strip(story, key="k", palette={}, names={})


def test_slice_is_drawn_in_millimetres():
    corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)]
    picture = SlicePicture(level="mid", phase="ed", png_base64="iVBORw0KGgo=", width_px=10, height_px=20,
                           pixel_mm=(2.0, 1.5), contours={"lv_endo": [corner]})  # fmt: skip
    svg = figures_patient.slice_svg(picture)
    assert 'viewBox="0 0 20.00 30.00"' in svg
    assert 'points="0.00,0.00 20.00,0.00 20.00,30.00"' in svg
    assert "h5" in svg  # the scale bar is 5 mm long
    assert "0.5 cm" in svg


def test_orientation_letters_only_when_known(make_patient):
    picture = make_patient().images.slices[0]
    assert ">R</text>" in figures_patient.slice_svg(picture)
    assert ">R</text>" not in figures_patient.slice_svg(picture.model_copy(update={"letters": None}))


def test_swarm_keeps_equal_values_apart():
    offsets = figures_cohort.swarm_offsets(np.zeros(5), span=1.0)
    assert len(set(offsets.tolist())) == 5
    assert np.abs(offsets).max() <= 0.27
    assert figures_cohort.swarm_offsets(np.zeros(0), span=1.0).size == 0


def test_classes_keep_their_colour_and_first_five_differ():
    palette = figures.colours(["a", "b", "c", "d", "e"])
    assert len(set(palette.values())) == 5
    assert figures.colours(["a", "b"])["b"] == palette["b"]


def test_all_figures_draw_without_a_warning(make_cohort):
    report: CohortReport = make_cohort()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures_cohort.resampling(report.performance.resampling, key="r")
        figures_cohort.reliability(report.trust.models[0], key="t")
        for kind in ("roc", "pr"):
            figures_cohort.curves(report.performance.roc[0], kind=kind, key=kind, palette={}, names={})
        figures_cohort.beeswarm(report.reasons.beeswarms[0], scale="log-odds", key="b", names={})
        figures_patient.bulls_eye(eye(), key="e")


# --- maps


def test_the_bar_of_a_map_states_both_ends_and_the_unit():
    svg = figures_patient.map_bar(ColourBar(title="ECV", unit="%", low=0.0, high=80.0), key="e")
    assert "Colours of ECV from 0 to 80 %" in svg
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts == ["0", "80 %"]


def test_two_bars_of_one_page_share_no_id():
    bar = ColourBar(title="T2", unit="ms", low=20.0, high=100.0)
    first, second = (set(re.findall(r'\sid="([^"]+)"', figures_patient.map_bar(bar, key=key))) for key in "ab")
    assert not first & second


def test_a_picture_of_a_map_says_so_and_its_contours_stand_out_from_its_colours(patient_sample):
    grey = patient_sample["images"]["slices"][0]
    bar = {"title": "Native T1", "unit": "ms", "low": 600.0, "high": 1800.0}
    plain = figures_patient.slice_svg(SlicePicture.model_validate(grey))
    coloured = figures_patient.slice_svg(SlicePicture.model_validate(grey | {"phase": None, "bar": bar}))
    assert "short-axis slice at end-diastole" in plain
    assert "short-axis slice of the Native T1 map" in coloured
    assert coloured.count("<polygon") == 2 * plain.count("<polygon") > 0
    assert len(re.findall(r'<polygon[^>]*stroke="#000"', coloured)) == plain.count("<polygon")
