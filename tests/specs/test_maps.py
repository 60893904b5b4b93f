import pytest
from pydantic import ValidationError

from radiocard.errors import SpecError
from radiocard.specs.maps import MAP_UNITS, LocalReference, MapSettings, read_local_reference, sequence_of
from radiocard.specs.validate import parse_as

SETTINGS = {
    "sequences": ["t1_native", "ecv"],
    "erosion_endo_pct": 10,
    "erosion_epi_pct": 10,
    "min_pixels_segment": 5,
    "blood_erosion_mm": 4,
    "blood_min_voxels": 20,
    "reference": None,
}
REFERENCE = """\
schema: radiocard/map-reference/1
site: north
entries:
  - {sequence: t1_native, column: t1_native_ms, field_strength_t: 1.5, vendor: Siemens,
     acquisition: MOLLI 5(3)3, mean: 1010, sd: 30, n: 20, unit: ms}
"""


def test_settings_are_frozen_and_complete():
    settings = parse_as(MapSettings, SETTINGS, "x.yaml")
    assert settings.sequences == ("t1_native", "ecv")
    with pytest.raises(ValidationError, match="frozen"):
        settings.min_pixels_segment = 3


@pytest.mark.parametrize("name", list(SETTINGS))
def test_no_setting_has_a_default(name):
    with pytest.raises(SpecError, match=rf"x.yaml: {name}: Field required"):
        parse_as(MapSettings, {k: v for k, v in SETTINGS.items() if k != name}, "x.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"erosion_endo_pct": 50}, "erosion_endo_pct: Input should be less than 50"),
        ({"erosion_epi_pct": -1}, "erosion_epi_pct: Input should be greater than or equal to 0"),
        ({"sequences": []}, "sequences: .* at least 1 item"),
        ({"sequences": ["t2", "t2"]}, "sequences: more than once: t2"),
        ({"sequences": ["t3"]}, "sequences.0: Input should be 't1_native'"),
        ({"min_pixel_segment": 4}, "Did you mean 'min_pixels_segment'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(SpecError, match=message):
        parse_as(MapSettings, SETTINGS | change, "x.yaml")


def test_a_column_belongs_to_one_sequence():
    assert sequence_of("t2_star_aha_03_ms") == "t2_star"
    assert sequence_of("t2_aha_03_ms") == "t2"
    assert sequence_of("t2ms") is None
    assert all(sequence_of(f"{name}_{unit}") == name for name, unit in MAP_UNITS.items())


def test_a_reference_file_is_read(tmp_path):
    path = tmp_path / "north.yaml"
    path.write_text(REFERENCE)
    found = read_local_reference(path)
    assert isinstance(found, LocalReference)
    assert found.entries[0].place == (1.5, "Siemens", None, "MOLLI 5(3)3")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n: 20", "n: 14", "entries.0.n: Input should be greater than or equal to 15"),
        ("unit: ms", "unit: pct", "t1_native is given in ms, found pct"),
        ("column: t1_native_ms", "column: t2_ms", "'t2_ms' is no column of t1_native in ms"),
        ("column: t1_native_ms", "column: t1_native_n_aha_01", "is no column of t1_native in ms"),
        ("reference/1", "reference/2", "schema: Input should be 'radiocard/map-reference/1'"),
        ("sd: 30", "sd: 0", "entries.0.sd: Input should be greater than 0"),
    ],
)
def test_a_reference_that_makes_no_sense_is_refused(tmp_path, old, new, message):
    path = tmp_path / "north.yaml"
    path.write_text(REFERENCE.replace(old, new))
    with pytest.raises(SpecError, match=message):
        read_local_reference(path)


def test_two_entries_for_one_scanner_are_refused(tmp_path):
    path = tmp_path / "north.yaml"
    path.write_text(REFERENCE + "\n".join(REFERENCE.splitlines()[3:]) + "\n")
    with pytest.raises(SpecError, match="the same scanner has more than one entry for t1_native_ms"):
        read_local_reference(path)
