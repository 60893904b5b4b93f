import re
from collections import Counter

from radiocard.features.catalogue import BY_PYRADIOMICS, FEATURES, INVARIANCES

# Families of the IBSI reference manual: permanent code and number of features. Two densities by
# oriented box and two by enclosing ellipsoid have no reference value and are left out.
IBSI = {
    "shape_3d": ("HCUG", 29 - 4),
    "local_intensity": ("9ST6", 2),
    "intensity": ("UHIW", 18),
    "histogram": ("ZVCW", 23),
    "ivh": ("P88C", 7),
    "glcm": ("LFYI", 25),
    "glrlm": ("TP0I", 16),
    "glszm": ("9SAK", 16),
    "gldzm": ("VMDZ", 16),
    "ngtdm": ("IPET", 5),
    "ngldm": ("REK0", 17),
}
# Number of features per class in the documentation of PyRadiomics 3, deprecated ones included.
PYRADIOMICS = {
    "firstorder": 19,
    "shape": 17,
    "shape2D": 10,
    "glcm": 28,
    "glrlm": 16,
    "glszm": 16,
    "ngtdm": 5,
    "gldm": 16,
}


def test_list_is_complete():
    assert Counter(f.family for f in FEATURES.values() if f.ibsi_code) == {k: n for k, (_, n) in IBSI.items()}
    assert Counter(name.partition("_")[0] for name in BY_PYRADIOMICS) == PYRADIOMICS
    assert all(f.ibsi_code or f.pyradiomics_names for f in FEATURES.values())


def test_codes_are_unique_but_for_those_that_take_a_parameter():
    codes = Counter(f.ibsi_code for f in FEATURES.values() if f.ibsi_code)
    assert {code for code, n in codes.items() if n > 1} == {"BC2M", "GBPN"}  # volume and intensity fractions


def test_entries_are_well_formed():
    for tag, feature in FEATURES.items():
        assert re.fullmatch(r"[a-z0-9_]+", tag)
        assert feature.ibsi_code is None or re.fullmatch(r"[A-Z0-9]{4}", feature.ibsi_code)
        assert feature.meaning.endswith(".")
        assert 10 < len(feature.meaning) < 160
        assert feature.name
        assert len(set(feature.invariances)) == len(feature.invariances)
        assert set(feature.invariances) <= set(INVARIANCES)
        if feature.ibsi_code:
            assert feature.formula == f"IBSI {IBSI[feature.family][0]}, {feature.ibsi_code}"
            assert feature.mirp == tag
        else:
            assert feature.formula == f"PyRadiomics 3, {feature.pyradiomics_names[0]}"
            assert feature.mirp is None


def test_names_of_pyradiomics_lead_back_to_one_feature():
    assert sum(len(f.pyradiomics_names) for f in FEATURES.values()) == len(BY_PYRADIOMICS)
    assert BY_PYRADIOMICS["gldm_SmallDependenceEmphasis"].tag == "ngl_lde"
    assert BY_PYRADIOMICS["firstorder_Entropy"].tag == "ih_entropy"
    assert BY_PYRADIOMICS["glcm_Id"] is BY_PYRADIOMICS["glcm_Homogeneity1"]
    assert FEATURES["cm_sum_var"].pyradiomics_computed is None
    assert FEATURES["morph_comp_1"].pyradiomics_computed == "shape_Compactness1"
    assert FEATURES["cm_inv_diff"].pyradiomics_computed == "glcm_Id"
