import importlib

import numpy as np
import pytest

from radiocard.errors import MissingExtraError, SpecError
from radiocard.features import pyradiomics_engine
from radiocard.features.extract import extract_region
from radiocard.image import Image

IMAGE = Image(np.random.default_rng(0).normal(size=(6, 6, 3)), np.diag([1.4, 1.4, 8.0, 1.0]))
TEXTURE = {"distances": (1,), "weighting": "none", "coarseness": 0}
MASK = np.ones((6, 6, 3), dtype=bool)


def test_unhonoured_settings_are_refused_by_name(make_spec):
    spec = make_spec(
        "cine_sax",
        engine="pyradiomics",
        discretisation={"method": "fbs", "width": 25, "max_bins": 100},
        families=("glcm", "gldzm", "ivh"),
        ivh={"method": "fbn", "bins": 10},
        texture=TEXTURE | {"aggregation": ("2d_avg", "3d_avg", "2d_comb")},
    )
    with pytest.raises(SpecError, match=r"cannot honour convention: ibsi \(bin edges of fbs .*") as error:
        extract_region(IMAGE, MASK, spec)
    text = str(error.value)
    assert "families: ivh; families: gldzm" in text
    assert "texture.aggregation: 2d_avg; texture.aggregation: 2d_comb" in text
    assert "3d_avg;" not in text


def test_per_slice_averages_are_refused_only_where_texture_is_asked_for(make_spec):
    spec = make_spec("cine_sax_pyradiomics", texture=TEXTURE | {"aggregation": ("2d_avg",)})
    with pytest.raises(SpecError, match="cannot honour texture.aggregation: 2d_avg"):
        pyradiomics_engine.refuse_unsupported(spec)
    pyradiomics_engine.refuse_unsupported(spec.model_copy(update={"families": ("intensity",)}))


def test_missing_package_names_the_extra(make_spec, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(pyradiomics_engine, "import_module", absent)
    spec = make_spec("cine_sax_pyradiomics", engine="pyradiomics")
    with pytest.raises(
        MissingExtraError, match=r"PyRadiomics is not installed.*pip install 'radiocard\[pyradiomics\]'"
    ):
        extract_region(IMAGE, MASK, spec)


def test_package_is_imported_late():
    source = importlib.util.find_spec("radiocard.features.pyradiomics_engine").loader.get_source(
        "radiocard.features.pyradiomics_engine"
    )
    assert "import radiomics" not in source
    assert "import SimpleITK" not in source
