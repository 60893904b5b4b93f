import json
from pathlib import Path

import pytest

from radiocard.errors import UsageError
from radiocard.features.catalogue import FEATURES
from radiocard.features.dictionary import dictionary, dictionary_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "features.md"


def test_every_feature_is_an_entry_of_plain_data():
    entries = dictionary()
    assert [entry["tag"] for entry in entries] == list(FEATURES)
    assert json.loads(json.dumps(entries)) == entries
    entropy = next(entry for entry in entries if entry["tag"] == "cm_joint_entr")
    assert entropy["ibsi_code"] == "TU9B"
    assert entropy["formula"] == "IBSI LFYI, TU9B"
    assert entropy["pyradiomics"] == "glcm_JointEntropy"
    assert entropy["mirp"] == "cm_joint_entr"
    assert entropy["unit"] == "bit"
    assert "level permutation" in entropy["invariances"]


def test_one_family():
    assert {entry["family"] for entry in dictionary("glszm")} == {"glszm"}
    with pytest.raises(UsageError, match=r"no feature family 'glzsm'.*Did you mean 'gl"):
        dictionary("glzsm")
    with pytest.raises(UsageError, match="no feature family 'xyz'.*Families: shape_3d, "):
        dictionary("xyz")


def test_the_page_of_the_documentation_is_the_generated_one():
    hint = "run: radiocard features --markdown > docs/reference/features.md"
    assert PAGE.read_text(encoding="utf-8") == dictionary_page(), hint


def test_the_page_holds_every_feature_once():
    page = dictionary_page()
    assert all(page.count(f"| `{tag}`") == 1 for tag in FEATURES)
    assert "`morph_diam_slice` †" in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert {line.count("|") for line in rows} == {8}
