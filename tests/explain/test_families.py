from typing import get_args

from radiocard.explain.families import TEXTURE_FAMILIES
from radiocard.specs import Family


def test_every_feature_family_has_a_name_in_words():
    assert set(TEXTURE_FAMILIES) == set(get_args(Family))
