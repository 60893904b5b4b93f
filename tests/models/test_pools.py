import pytest

from radiocard.cardiac.dictionary import CLINICAL
from radiocard.errors import CohortError, UsageError
from radiocard.models.pools import pool_columns, read_pools

NEVER = [
    "patient_id", "diagnosis", "sex", "age_y", "height_cm", "weight_kg", "site", "vendor", "field_strength_t",
    "simulated", "image_sha256", "orientation_proven", "flags", "bsa_m2", "visit",
]  # fmt: skip
TEXTURE = "lv_myocardium__cine_ed__original__cm_joint_entr_2d_avg_fbn32"
TABLE = [*NEVER, *CLINICAL, TEXTURE]


@pytest.mark.parametrize("name", ["physiology", "physiology_wide", "texture", "all"])
def test_no_pool_holds_labels_sites_or_identifiers(name):
    found = pool_columns(name, TABLE)
    assert not set(found) & set(NEVER)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["physiology", "physiology_wide"])
def test_physiology_is_small_and_in_the_dictionary(name):
    columns = read_pools().pools[name]
    assert len(columns) <= 35
    assert [c for c in columns if c not in CLINICAL] == []
    assert pool_columns(name, TABLE) == list(columns)


def test_texture_and_all():
    assert pool_columns("texture", TABLE) == [TEXTURE]
    assert set(pool_columns("all", TABLE)) == {*CLINICAL, TEXTURE} - {"bsa_m2"}


def test_unknown_pool():
    with pytest.raises(UsageError, match="no pool 'physiolgy'.*Did you mean 'physiology'"):
        pool_columns("physiolgy", TABLE)


def test_a_table_without_the_pool():
    with pytest.raises(CohortError, match="no column of the pool 'texture'") as caught:
        pool_columns("texture", ["lvef_pct"])
    assert caught.value.code == "E_COLUMNS"
