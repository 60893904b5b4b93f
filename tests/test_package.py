"""The built wheel holds everything: specifications, recipes, templates, type marker."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
import radiocard, pathlib
from radiocard.specs import read_spec, read_recipe, shipped_names
from radiocard.features.registry import FEATURES
from radiocard.report.html import _environment
assert str(pathlib.Path(radiocard.__file__)).startswith({folder!r}), radiocard.__file__
assert read_spec("cine_sax").name == "cine_sax"
assert read_recipe("svm").name == "svm"
assert "ukbb_2017" in shipped_names("feature_specs") and len(FEATURES) > 90
assert {{"patient.html", "cohort.html", "style.css"}} <= set(_environment().list_templates())
"""


@pytest.mark.slow
def test_the_wheel_works_away_from_the_checkout(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(folder)
    assert not [n for n in names if n.startswith(("tests/", "docs/", "reports/", "benchmarks/"))]
    assert "radiocard/py.typed" in names
    environment = os.environ | {"PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", CODE.format(folder=str(folder))], cwd=tmp_path, env=environment, check=True)


def test_the_checkout_names_no_machine_and_no_registry():
    words = ["/wo" + "rk/", "../sha" + "red", "py" + "pi.org", "python" + "hosted"]
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".cff", ".html", ".css", ".json", ""}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in listed:
        path = ROOT / name
        if path.suffix in suffixes and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not [w for w in words if w in text], name
