import subprocess
import sys

import radiocard


def test_public_names_are_these_and_resolve():
    assert len(radiocard.__all__) == 34
    assert all(getattr(radiocard, name) is not None for name in radiocard.__all__)
    assert set(radiocard.__all__) <= set(dir(radiocard))
    assert radiocard.__version__.count(".") == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from radiocard.cli import app;"
        "r = CliRunner().invoke(app, ['--help']); assert r.exit_code == 0, r.output;"
        "heavy = {'numpy','pandas','sklearn','xgboost','shap','SimpleITK','matplotlib','scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
