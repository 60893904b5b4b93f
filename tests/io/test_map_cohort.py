"""Maps in a manifest: sequence, phase and unit, and the values they become."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from radiocard.cohort.row import case_row
from radiocard.errors import CohortError
from radiocard.image import Image
from radiocard.io.cohort import read_cohort, write_manifest_cohort
from radiocard.specs import read_spec

HEAD = "patient_id,sequence,phase,image,mask,labels,unit"
SPEC = read_spec("t1_map")


def manifest(folder, *rows, head=HEAD):
    (folder / "manifest.csv").write_text("\n".join([head, *rows, ""]))
    return folder / "manifest.csv"


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("a,t1_native,ed,a.nii,m.nii,acdc,", "line 2: phase is 'ed', expected an empty cell: t1_native is taken once"),
        ("a,ecv,es,a.nii,m.nii,acdc,", "phase is 'es', expected an empty cell: ecv is taken once"),
        ("a,cine,ed,a.nii,m.nii,acdc,ms", "unit is 'ms', expected an empty cell: grey values of cine have no unit"),
        ("a,,ed,a.nii,m.nii,acdc,s", "grey values of cine have no unit"),
        ("a,cine,,a.nii,m.nii,acdc,", "phase is '', expected ed or es"),
        ("a,t1,,a.nii,m.nii,acdc,", "sequence is 't1', expected cine or t1_native or t1_post or t2 or t2_star or ecv"),
        ("a,t1_native,,a.nii,m.nii,acdc,pct", "unit is 'pct', expected ms or s or 0.1ms for t1_native"),
        ("a,ecv,,a.nii,m.nii,acdc,ms", "unit is 'ms', expected pct or fraction for ecv"),
        ("a,t2,,a.nii,m.nii,acdc,sec", "unit is 'sec', expected ms or s or 0.1ms for t2"),
    ],
)
def test_a_wrong_cell_is_refused_by_its_name_and_line(row, match, tmp_path):
    with pytest.raises(CohortError, match=match) as caught:
        read_cohort(manifest(tmp_path, row))
    assert caught.value.issue.field in {"sequence", "phase", "unit"}


def test_the_same_map_twice_is_refused(tmp_path):
    row = "a,t2,,a.nii,m.nii,acdc,"
    with pytest.raises(CohortError, match="lines 2 and 3: t2 of this patient occurs twice"):
        read_cohort(manifest(tmp_path, row, row))


def test_a_manifest_of_maps_needs_no_phase_column(tmp_path):
    path = manifest(tmp_path, "a,t1_native,a.nii,m.nii,acdc", head="patient_id,sequence,image,mask,labels")
    (case,) = read_cohort(path).cases
    assert list(case.files) == [("t1_native", "")]
    assert case.files["t1_native", ""].unit is None


def test_without_sequence_and_phase_the_manifest_is_a_cine_that_lacks_its_phase(tmp_path):
    with pytest.raises(CohortError, match="lacks the column 'phase'"):
        read_cohort(manifest(tmp_path, "a,a.nii,m.nii,acdc", head="patient_id,image,mask,labels"))


def test_a_cine_row_in_a_manifest_without_phases_is_refused(tmp_path):
    path = manifest(tmp_path, "a,cine,a.nii,m.nii,acdc", head="patient_id,sequence,image,mask,labels")
    with pytest.raises(CohortError, match="phase is '', expected ed or es"):
        read_cohort(path)


def test_sequences_are_read_in_any_case(tmp_path):
    (case,) = read_cohort(manifest(tmp_path, "a,T1_Native,,a.nii,m.nii,acdc,s")).cases
    assert case.files["t1_native", ""].unit == "s"


# --- values


def divided(patient, **by):
    """The case with its maps divided, stored as 64-bit numbers, and without other maps."""
    case = patient.case
    images = {(s, ""): replace(case.images[s, ""], array=case.images[s, ""].array / factor) for s, factor in by.items()}
    return replace(case, images=images, masks={key: case.masks[key] for key in images})


def written(case, folder, units=None):
    """Write one case, and state units in its manifest."""
    path = write_manifest_cohort([case], folder)
    if units:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table["unit"] = [units.get(s, "") for s in table["sequence"]]
        table.to_csv(path, index=False)
    (ref,) = read_cohort(path).cases
    return ref


@pytest.fixture(scope="module")
def plain(map_patients, tmp_path_factory):
    """Row of the first patient, in ms and %."""
    ref = written(divided(map_patients[0], t1_native=1.0, ecv=1.0), tmp_path_factory.mktemp("plain"))
    return case_row(ref, SPEC).values


@pytest.mark.parametrize(
    ("by", "field", "looks"),
    [
        ({"t1_native": 1000.0, "ecv": 1.0}, "t1_native.image", "it looks like seconds"),
        ({"t1_native": 0.1, "ecv": 1.0}, "t1_native.image", "it looks like tenths of a millisecond"),
        ({"t1_native": 1.0, "ecv": 100.0}, "ecv.image", "it looks like a fraction"),
    ],
)
def test_another_unit_that_nobody_stated_is_refused(by, field, looks, map_patients, tmp_path):
    found = case_row(written(divided(map_patients[0], **by), tmp_path), SPEC)
    assert found.values is None
    (issue,) = [i for i in found.issues if i.severity == "refuse"]
    assert (issue.code, issue.case, issue.field) == ("E_UNITS", map_patients[0].case.patient_id, field)
    assert looks in issue.message


@pytest.mark.parametrize(
    ("by", "units"),
    [
        ({"t1_native": 1000.0, "ecv": 1.0}, {"t1_native": "s"}),
        ({"t1_native": 0.1, "ecv": 1.0}, {"t1_native": "0.1ms"}),
        ({"t1_native": 1.0, "ecv": 100.0}, {"ecv": "fraction"}),
        ({"t1_native": 1000.0, "ecv": 100.0}, {"t1_native": "s", "ecv": "fraction"}),
        ({"t1_native": 1.0, "ecv": 1.0}, {"t1_native": "ms", "ecv": "pct"}),
    ],
)
def test_a_stated_unit_gives_the_same_row(by, units, map_patients, tmp_path, plain):
    found = case_row(written(divided(map_patients[0], **by), tmp_path, units), SPEC)
    assert found.issues == ()
    numbers = {k: v for k, v in plain.items() if isinstance(v, float)}
    assert len(numbers) > 200
    for column, value in numbers.items():
        if "fbs" not in column:  # a value on the border of a grey level may fall to either side
            assert found.values[column] == pytest.approx(value, rel=1e-6, abs=1e-6), column
    assert found.values["t1_native_ms"] == pytest.approx(plain["t1_native_ms"], rel=1e-12)


def test_a_unit_is_honoured_for_a_frame_of_a_series_of_maps(map_patients, tmp_path, plain):
    """Several maps in one four-dimensional file, one of them chosen by its frame."""
    import nibabel

    ref = written(divided(map_patients[0], t1_native=1000.0), tmp_path)
    path = ref.files["t1_native", ""].image
    loaded = nibabel.load(path)
    array = np.stack([np.zeros(loaded.shape), np.asarray(loaded.dataobj)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(array, loaded.affine), path)
    pair = replace(ref.files["t1_native", ""], frame=1, unit="s")
    found = case_row(replace(ref, files={("t1_native", ""): pair}), SPEC, texture=False)
    assert found.values["t1_native_ms"] == pytest.approx(plain["t1_native_ms"], rel=1e-6)


def test_integers_in_tenths_do_not_wrap(map_patients, tmp_path):
    """2000 ms is 20000 tenths; 16 bits hold 32767 and no half, so converting must not be done in them."""
    case = divided(map_patients[0], t1_native=1.0)
    half = replace(case.images["t1_native", ""], array=case.images["t1_native", ""].array + 0.5)
    case = replace(case, images={("t1_native", ""): half})
    tenths = Image(np.rint(case.images["t1_native", ""].array * 10).astype("i2"), case.images["t1_native", ""].affine)
    ref = written(replace(case, images={("t1_native", ""): tenths}), tmp_path, {"t1_native": "0.1ms"})
    loaded = ref.load().images["t1_native", ""].array
    np.testing.assert_allclose(loaded, case.images["t1_native", ""].array, atol=0.051)
