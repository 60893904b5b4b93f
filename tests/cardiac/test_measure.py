import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radiocard.cardiac.dictionary import CLINICAL, FAMILIES
from radiocard.cardiac.measure import measure
from radiocard.errors import MaskError
from radiocard.image import LABELS_ACDC, LABELS_MNMS, Case, LabelMap


@pytest.fixture
def beat(made):
    """A ring that contracts: inner 20 to 14 mm, outer 30 to 28 mm."""
    grid = made.Grid(rotation_deg=25)
    ed, es = made.Heart(), made.Heart(inner_mm=14, outer_mm=28)
    return made.case(made.paint(ed, grid), made.paint(es, grid), height_cm=175, weight_kg=70)


def test_every_column_is_in_the_dictionary_and_none_besides(beat, settings):
    assert set(measure(beat, settings).values) == set(CLINICAL)


def test_the_dictionary_is_complete():
    for column, info in CLINICAL.items():
        assert info.column == column
        assert column.isascii()
        assert column == column.lower()
        assert info.name
        assert info.meaning.endswith(".")
        assert info.family in FAMILIES
        if column.endswith(("_mm", "_pct", "_ml", "_g")):
            assert info.unit == {"mm": "mm", "pct": "%", "ml": "mL", "g": "g"}[column.rsplit("_", 1)[1]] or (
                "ratio" in column
            )


def test_a_contracting_ring(beat, settings):
    result = measure(beat, settings)
    v = result.values
    assert result.proof.proven
    assert v["lvef_pct"] == pytest.approx(100 * (1 - (14 / 20) ** 2), abs=1.0)
    assert v["lvedv_ml"] == pytest.approx(np.pi * 400 * 81 / 1000, rel=0.01)
    assert v["lvm_g"] == pytest.approx(1.05 * np.pi * (900 - 400) * 81 / 1000, rel=0.02)
    assert v["sphericity_ed"] == pytest.approx(6 * 400 / 81**2, rel=0.01)
    assert v["thickening_mean_pct"] == pytest.approx(40.0, abs=5.0)  # 0.2 mm at each phase
    assert v["thickening_low_n"] == 0
    for n in range(1, 17):
        assert v[f"wt_aha_{n:02d}_ed_mm"] == pytest.approx(10.0, abs=0.75)
        assert v[f"wt_aha_{n:02d}_es_mm"] == pytest.approx(14.0, abs=0.75)
        assert v[f"endo_motion_aha_{n:02d}_mm"] == pytest.approx(6.0, abs=0.75)
    assert v["endo_motion_sd_mm"] < 0.5


def test_a_shift_of_the_heart_between_phases_is_no_motion(made, settings):
    ed = made.paint(made.Heart(), made.Grid())
    es = made.paint(made.Heart(), made.Grid(shift_mm=(6.0, -4.5)))
    values = measure(made.case(ed, es), settings).values
    assert values["lvef_pct"] == pytest.approx(0.0, abs=1.0)
    assert abs(values["endo_motion_mean_mm"]) < 0.3
    assert values["endo_motion_sd_mm"] < 0.4


def test_a_wall_that_stands_still_is_found(made, settings):
    """The inner circle closes towards the anterior wall, which therefore neither moves nor thins."""
    ed = made.paint(made.Heart(), made.Grid())
    es = made.paint(made.Heart(inner_mm=14, offset_mm=(0.0, 6.0)), made.Grid())
    values = measure(made.case(ed, es), settings).values
    still = [values[f"endo_motion_aha_{n:02d}_mm"] for n in (1, 7, 13)]
    moving = [values[f"endo_motion_aha_{n:02d}_mm"] for n in (4, 10, 15)]
    assert max(still) < 2.5 < 8.0 < min(moving)
    assert values["endo_motion_sd_mm"] > 2.0
    assert values["thickening_aha_07_pct"] < 15 < 80 < values["thickening_aha_10_pct"]


def test_label_numbers_do_not_matter(beat, settings):
    swap = np.zeros(4, dtype=int)
    for region, number in LABELS_ACDC.items():
        swap[number] = LABELS_MNMS[region]
    masks = {k: LabelMap(swap[m.array], m.affine, labels=LABELS_MNMS) for k, m in beat.masks.items()}
    assert measure(replace(beat, masks=masks), settings).values == measure(beat, settings).values


def test_whole_voxel_translation_changes_nothing(beat, settings):
    masks = {k: replace(m, array=np.roll(m.array, (2, -1), axis=(0, 1))) for k, m in beat.masks.items()}
    moved = measure(replace(beat, masks=masks), settings).values
    assert moved == pytest.approx(measure(beat, settings).values, abs=1e-9)


def test_phases_stored_in_different_orders_are_one_heart(made, beat, settings):
    masks = dict(beat.masks)
    masks["cine", "es"] = made.stored(masks["cine", "es"], (1, 0, 2), (True, False, True))
    assert measure(replace(beat, masks=masks), settings).values == pytest.approx(
        measure(beat, settings).values, abs=1e-9
    )


def test_few_slices_leave_segments_undefined(made, settings):
    heart = made.Heart(n_slices=2, rv_slices=1)
    mask = made.paint(heart, made.Grid())
    values = measure(made.case(mask, mask), settings).values
    assert values["wt_aha_01_ed_mm"] is not None
    assert values["wt_aha_07_ed_mm"] is None
    assert values["bsa_m2"] is None
    assert values["lvedvi_ml_m2"] is None


def test_a_missing_phase_is_refused(beat, settings):
    with pytest.raises(MaskError, match=r"E_PHASE: There is no cine mask at ES; .* \[case made, cine_es.mask\]"):
        measure(Case("made", {}, {("cine", "ed"): beat.masks["cine", "ed"]}), settings)


def test_an_empty_region_is_refused(beat, settings):
    masks = {k: replace(m, array=np.where(m.array == 1, 0, m.array)) for k, m in beat.masks.items()}
    with pytest.raises(MaskError, match=r"Label 1 \(rv_cavity\) is not present"):
        measure(replace(beat, masks=masks), settings)


@pytest.mark.skipif("RADIOCARD_ACDC" not in os.environ, reason="not run: RADIOCARD_ACDC is not set")
def test_real_patients_are_measured_whole(settings):
    nibabel = pytest.importorskip("nibabel")
    for folder in sorted(Path(os.environ["RADIOCARD_ACDC"]).glob("patient*")):
        info = dict(line.split(": ") for line in (folder / "Info.cfg").read_text().split("\n") if line)
        masks = {}
        for phase in ("ed", "es"):
            file = nibabel.load(folder / f"{folder.name}_frame{int(info[phase.upper()]):02d}_gt.nii.gz")
            masks["cine", phase] = LabelMap(np.asarray(file.dataobj).astype(int), file.affine, labels=LABELS_ACDC)
        clinical = {"height_cm": info["Height"], "weight_kg": info["Weight"]}
        result = measure(Case(folder.name, {}, masks, clinical), settings)
        assert not result.proof.proven
        assert not [k for k, v in result.values.items() if v is None and "aha" not in k], folder.name
