"""Every column that is measured has an entry, and no entry is without a column."""

from radiocard.cardiac.scar import measure_scar_mask
from radiocard.cardiac.scar_dictionary import SCAR, SCAR_FAMILIES


def test_entries_are_the_columns(made, settings):
    mask = made.paint(made.Heart(), made.Grid())
    measured = measure_scar_mask(mask.mask("lv_myocardium"), mask, settings)
    assert set(measured.values) == set(SCAR)


def test_entries_have_names_sentences_and_the_unit_of_the_column():
    units = {"_pct": "%", "_g": "g", "_bit": "bit", "_n": "segments"}
    for column, info in SCAR.items():
        assert info.column == column
        assert info.name
        assert info.meaning.endswith(".")
        assert info.unit == next(unit for end, unit in units.items() if column.endswith(end))
        assert info.family in SCAR_FAMILIES
    assert len({info.name for info in SCAR.values()}) == len(SCAR)
