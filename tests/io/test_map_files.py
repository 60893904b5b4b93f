import nibabel as nib
import numpy as np
import pytest

from radiocard.errors import CaseError, ReadError, UsageError
from radiocard.image import Image
from radiocard.io.map_files import read_map, write_map

PIXELS = np.arange(20 * 12, dtype=np.uint16).reshape(20, 12) + 900


def refused(path, code, match, *, kind=CaseError, **more):
    with pytest.raises(kind, match=match) as caught:
        read_map(path, **{"sequence": "t1_native", "case": "C0042", **more})
    assert caught.value.code == code
    assert caught.value.issue.case == "C0042"
    return caught.value


@pytest.fixture
def one(tmp_path, dicom):
    """Write one DICOM map with changed attributes, return its path."""

    def write(pixels=PIXELS, **tags):
        path = tmp_path / "map.dcm"
        dicom.dataset(pixels, **tags).save_as(path)
        return path

    return write


def mapping(dicom, unit, *, scheme="UCUM", slope=0.1, first=0, last=65535, double="", **more):
    code = dicom.item(CodeValue=unit, CodingSchemeDesignator=scheme, CodeMeaning="x")
    more |= {f"{double}RealWorldValueFirstValueMapped": first, f"{double}RealWorldValueLastValueMapped": last}
    more |= {"RealWorldValueSlope": slope, "RealWorldValueIntercept": 0.0, "MeasurementUnitsCodeSequence": [code]}
    return dicom.item(**more)


def test_a_series_of_slices_becomes_one_map(tmp_path, dicom):
    volume = np.random.default_rng(0).integers(800, 1600, (6, 5, 3), dtype=np.uint16)
    folder = dicom.series(tmp_path / "s", volume, RescaleSlope=2.0, RescaleIntercept=-100.0, RescaleType="US")
    found = read_map(folder, sequence="t1_native")
    np.testing.assert_array_equal(found.image.array, volume * 2.0 - 100)
    assert found.image.spacing_mm == (1.25, 1.5, 8.0)
    assert (found.sequence, found.unit, found.unit_source) == ("t1_native", None, "proved later")
    assert (found.field_strength_t, found.vendor) == (3.0, "Siemens")


@pytest.mark.parametrize(
    ("stated", "sequence", "unit"),
    [("ms", "t1_native", "ms"), ("MSEC", "t2", "ms"), ("PCT", "ecv", "pct"), ("US", "t2", None), ("HU", "ecv", None)],
)
def test_the_rescale_type_states_the_unit_where_it_is_one(one, stated, sequence, unit):
    found = read_map(one(RescaleSlope=1, RescaleIntercept=0, RescaleType=stated), sequence=sequence)
    assert (found.unit, found.unit_source) == (unit, "from DICOM" if unit else "proved later")


@pytest.mark.parametrize(("code", "sequence", "unit"), [("ms", "t2", "ms"), ("s", "t2", "s"), ("%", "ecv", "pct")])
def test_a_real_world_mapping_with_a_unit_stands_before_the_rescale_slope(one, dicom, code, sequence, unit):
    path = one(RealWorldValueMappingSequence=[mapping(dicom, code)], RescaleSlope=7.0, RescaleIntercept=7.0)
    found = read_map(path, sequence=sequence)
    np.testing.assert_allclose(found.image.array[:, :, 0].T, PIXELS * 0.1, rtol=1e-12)
    assert (found.unit, found.unit_source) == (unit, "from DICOM")


@pytest.mark.parametrize(("code", "scheme"), [("1", "UCUM"), ("ms", "99LOCAL"), ("mm", "UCUM")])
def test_a_real_world_mapping_without_a_known_unit_is_left_aside(one, dicom, code, scheme):
    path = one(RealWorldValueMappingSequence=[mapping(dicom, code, scheme=scheme)], RescaleSlope=2, RescaleIntercept=0)
    found = read_map(path, sequence="t2")
    np.testing.assert_array_equal(found.image.array[:, :, 0].T, PIXELS * 2)
    assert found.unit is None


def test_stored_values_outside_the_mapped_range_have_no_value(one, dicom):
    path = one(RealWorldValueMappingSequence=[mapping(dicom, "ms", first=910, last=1000)])
    values = read_map(path, sequence="t1_native").image.array[:, :, 0].T
    np.testing.assert_array_equal(np.isnan(values), (PIXELS < 910) | (PIXELS > 1000))


def test_two_mappings_and_a_table_are_refused(one, dicom):
    two = [mapping(dicom, "ms"), mapping(dicom, "s")]
    refused(one(RealWorldValueMappingSequence=two), "E_DICOM", "maps its grey values in 2 ways")
    table = mapping(dicom, "ms", RealWorldValueLUTData=[1.0, 2.0])
    refused(one(RealWorldValueMappingSequence=[table]), "E_DICOM", "through a table")


def test_a_float_map_with_its_mapping_per_frame_is_read(tmp_path, dicom):
    pixels = np.random.default_rng(1).uniform(30, 60, (2, 20, 12)).astype(np.float32)
    linear = mapping(dicom, "ms", slope=1.0, first=-1000.0, last=1000.0, double="DoubleFloat")
    groups = [{"RealWorldValueMappingSequence": linear}] * 2
    drop = ("PixelData", "BitsStored", "HighBit", "PixelRepresentation")
    positions = [(0, 0, 0), (0, 0, 8)]
    made = dicom.enhanced(pixels, positions, frames=groups, drop=drop, FloatPixelData=pixels.tobytes())
    made.save_as(tmp_path / "p.dcm")
    found = read_map(tmp_path / "p.dcm", sequence="t2")
    np.testing.assert_array_equal(found.image.array, pixels.transpose(2, 1, 0).astype(float))
    assert found.unit == "ms"


def test_a_declared_unit_is_kept_and_nothing_is_converted(one, nifti, put):
    found = read_map(one(), sequence="t2", unit="0.1ms")
    assert (found.unit, found.unit_source) == ("0.1ms", "declared")
    np.testing.assert_array_equal(found.image.array[:, :, 0].T, PIXELS)
    found = read_map(put(nifti.build(), "m.nii.gz"), sequence="ecv", unit="fraction")
    assert (found.unit, found.unit_source, found.vendor) == ("fraction", "declared", None)
    np.testing.assert_array_equal(found.image.array, nifti.array)


def test_a_nifti_map_without_a_unit_must_prove_it(nifti, put):
    assert read_map(put(nifti.build()), sequence="t2").unit_source == "proved later"


def test_another_unit_than_declared_or_possible_is_refused(one):
    path = one(RescaleSlope=1, RescaleIntercept=0, RescaleType="ms")
    refused(path, "E_UNITS", "states the unit 'ms'; 's' was declared", unit="s", kind=ReadError)
    refused(path, "E_UNITS", "states the unit 'ms'; ecv is in pct or fraction", sequence="ecv")


def test_phase_images_are_refused(one):
    refused(one(ImageType=["ORIGINAL", "PRIMARY", "P"]), "E_SERIES", "These are phase images")


def test_a_raw_series_is_no_map(tmp_path, dicom):
    for n in range(3):
        dicom.dataset(PIXELS, InstanceNumber=n, InversionTime=100.0 * n).save_as(tmp_path / f"{n}.dcm")
    refused(tmp_path, "E_SERIES", "1 of 1 slice positions hold more than one image")


def test_wrong_calls_are_refused(one):
    refused(one(), "E_USAGE", "Sequence 'cine' is not one of a map", sequence="cine", kind=UsageError)
    refused(one(), "E_USAGE", "Unit 'pct' is not one of t1_native: ms, s, 0.1ms", unit="pct", kind=UsageError)


@pytest.mark.parametrize(
    ("maker", "vendor"),
    [
        ("SIEMENS", "Siemens"),
        ("Siemens Healthineers", "Siemens"),
        ("Philips Medical Systems", "Philips"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GE", "GE"),
        ("TOSHIBA_MEC", "Canon"),
        ("UIH", "United Imaging"),
        ("Gemini", None),
        ("", None),
    ],
)
def test_vendors_have_one_name_each_and_free_text_is_not_passed_on(one, maker, vendor):
    assert read_map(one(Manufacturer=maker), sequence="t2").vendor == vendor


@pytest.mark.parametrize(("stated", "field"), [(1.5, 1.5), (15000.0, None), (0.0, None), (None, None)])
def test_an_impossible_field_strength_is_unknown(one, stated, field):
    assert read_map(one(MagneticFieldStrength=stated), sequence="t2").field_strength_t == field


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
def test_a_written_map_is_the_same_map_and_holds_no_words(tmp_path, name):
    values = np.random.default_rng(2).uniform(900, 1400, (5, 4, 3))
    values[0, 0, 0] = np.nan
    affine = np.diag([-1.25, -1.5, 8.0, 1.0])
    affine[:3, 3] = 10, -20, 30
    write_map(Image(values, affine), tmp_path / name)
    again = read_map(tmp_path / name, sequence="t1_native", unit="ms").image
    np.testing.assert_array_equal(again.array, values.astype(np.float32))
    np.testing.assert_array_equal(again.affine, affine)
    header = nib.load(tmp_path / name).header
    assert header.get_data_dtype() == np.float32
    assert header.get_xyzt_units()[0] == "mm"
    words = [header[key].tobytes() for key in ("descrip", "aux_file", "db_name", "intent_name")]
    assert not b"".join(words).strip(b"\0")


def test_a_map_from_dicom_survives_nifti(tmp_path, dicom):
    q, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    q *= [1, 1, np.sign(np.linalg.det(q))]
    volume = np.random.default_rng(3).integers(800, 1600, (6, 5, 3), dtype=np.uint16)
    first = read_map(dicom.series(tmp_path / "s", volume, directions=q, origin=(12, -8, 90)), sequence="t2").image
    write_map(first, tmp_path / "m.nii.gz")
    again = read_map(tmp_path / "m.nii.gz", sequence="t2").image
    np.testing.assert_array_equal(again.array, first.array)
    np.testing.assert_allclose(again.affine, first.affine, atol=1e-4)
