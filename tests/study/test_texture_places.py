import base64
import io

import matplotlib.image
import numpy as np
import pytest

from radiocard.cohort.row import measure_case
from radiocard.report.schema_why import FeatureStory, Why
from radiocard.simulate.cohort import simulate_patient
from radiocard.specs import read_spec
from radiocard.specs.features import Resampling
from radiocard.study.extract import DEFAULT_SPEC
from radiocard.study.pictures import reading_turn, shown_slices
from radiocard.study.texture_places import texture_places

COLUMN = "lv_myocardium__cine_es__original__cm_contrast_2d_avg_fbn32"


@pytest.fixture(scope="module")
def spec():
    return read_spec(DEFAULT_SPEC)


@pytest.fixture(scope="module")
def patient(spec):
    case = simulate_patient("HCM", 0, seed=4).case
    return case, measure_case(case, spec)


def why(*columns):
    stories = [FeatureStory(column=c, name="Contrast", meaning="", unit="grey level²", value=1.0) for c in columns]
    return Why(scale="probability", explained_output="", features=stories)


def coloured(picture):
    rgb = matplotlib.image.imread(io.BytesIO(base64.b64decode(picture.png_base64)), format="png")[..., :3]
    return np.ptp(rgb, axis=2) > 0.02


def test_the_first_texture_among_the_top_features_is_painted_on_its_region(patient, spec):
    case, heart = patient
    found = texture_places(case, heart, spec, why("lvef_pct", COLUMN, COLUMN.replace("contrast", "energy")))
    assert found.column == COLUMN
    assert "5 x 5 pixels around each pixel of the LV myocardium" in found.sentence
    numbers = shown_slices(heart, ("cine", "es"))
    assert {s.level: s.slice_number - 1 for s in found.slices} == numbers
    mask, turn = case.masks["cine", "es"], reading_turn(case.images["cine", "es"].affine)
    for picture in found.slices:
        assert (picture.phase, picture.bar.title, picture.bar.unit) == ("es", "Contrast", "grey level²")
        assert picture.bar.low < picture.bar.high
        wall = turn.apply(mask.mask("lv_myocardium")[..., picture.slice_number - 1])
        rows, columns = np.nonzero(wall)
        own_rows, own_columns = np.nonzero(coloured(picture))
        assert own_rows.size == rows.size  # the picture is cropped: the same pixels, moved
        assert set(zip(own_rows - own_rows.min(), own_columns - own_columns.min(), strict=True)) == set(
            zip(rows - rows.min(), columns - columns.min(), strict=True)
        )


@pytest.mark.parametrize(
    "column",
    [
        "lvef_pct",
        "lv_myocardium__cine_es__original__sphericity",
        "lv_myocardium__cine_es__wavelet_llh__stat_mean",
        "lv_myocardium__cine_mid__original__stat_mean",
        "spleen__cine_es__original__stat_mean",
        "lv_myocardium__cine_es",
    ],
)
def test_without_a_texture_of_the_image_itself_nothing_is_drawn(patient, spec, column):
    case, heart = patient
    assert texture_places(case, heart, spec, why(column)) is None


def test_a_new_grid_has_no_place_on_the_image(patient, spec):
    case, heart = patient
    grid = Resampling(spacing_mm=(2, 2, 0), interpolation="linear", mask_interpolation="linear", round_grey=False)
    assert texture_places(case, heart, spec.model_copy(update={"resampling": grid}), why(COLUMN)) is None
