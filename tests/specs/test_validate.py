import pytest

from radiocard.errors import SpecError
from radiocard.specs import FeatureSpec, ReferenceSpec, parse_as, read_as, read_spec
from radiocard.specs.models import RuleSpec

BINS = {"method": "fbn", "max_bins": 8}


def read(**settings):
    return parse_as(FeatureSpec, read_spec("cine_sax").settings() | settings | {"name": "t", "description": ""}, "t")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"filters": [{"kind": "mean", "dimension": "2d", "support": 3}]}, "filters.0.mean.support: .*'support_voxel'"),
        ({"filters": [{"kind": "square", "discretisation": BINS | {"bin": 2}}]}, "discretisation.bin: .*'bins'"),
        ({"filters": [{"kind": "gradient", "support": 3}]}, "Known settings: discretisation, kind, use_spacing"),
        ({"resampling": {"mask_interpolaton": "linear"}}, "resampling.mask_interpolaton: .*'mask_interpolation'"),
        ({"ivh": {"method": "none", "widht": 3}}, "ivh.widht: .*Did you mean 'width'"),
        ({"texture": {"distance": [1]}}, "texture.distance: .*Did you mean 'distances'"),
        ({"familes": ["glcm"]}, "familes: .*Did you mean 'families'"),
        ({"cardiac": {"papilary": "cavity"}}, "cardiac.papilary: .*Did you mean 'papillary'"),
        ({"cardiac": {"bins": 3}}, "Known settings: bsa_formula, myocardial_density_g_ml, papillary, reference"),
    ],
)
def test_the_hint_is_a_setting_of_that_part(settings, match):
    with pytest.raises(SpecError, match=match):
        read(**settings)


def test_the_hint_descends_into_lists_and_mappings():
    rule = {"schema": "radiocard/rule/1", "classes": [{"criteria": [{"at_leest": 1}]}]}
    with pytest.raises(SpecError, match="classes.0.criteria.0.at_leest: .*Did you mean 'at_least'"):
        parse_as(RuleSpec, rule, "rule")


def test_a_reference_still_reads():
    assert read_as(ReferenceSpec, "ukbb_2017", "feature_specs").name == "ukbb_2017"
