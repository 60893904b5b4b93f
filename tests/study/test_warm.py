import json
import os
import subprocess
import sys

import pytest

from radiocard.study.warm import state, warm

CODE = """
from radiocard.study.warm import state, warm
before = state()
w = warm()
print(before, state(), len(w.kernels), len(w.lost), *w.folders, sep="\\n")
"""

NO_FOLDER = """
import sys
sys.argv = ["radiocard", "warm", "--json"]
from radiocard.cli import main
main()
"""


def test_every_kernel_is_compiled_and_kept():
    result = warm()
    assert result.lost == ()
    assert state() == "ready"
    assert len(result.kernels) == len(set(result.kernels)) > 10
    assert "radiocard.cardiac.fitting._fit_rows" in result.kernels
    assert all(folder.is_dir() for folder in result.folders)
    again = warm()
    assert again.kernels == result.kernels
    assert again.seconds < result.seconds + 1


@pytest.mark.slow
def test_another_folder_can_be_named(tmp_path):
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    before, after, n, lost, *folders = told.stdout.split()
    assert (before, after) == ("missing", "ready")
    assert int(n) > 10
    assert lost == "0"
    assert folders
    assert all(folder.startswith(str(tmp_path)) for folder in folders)


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_said(tmp_path):
    (tmp_path / "file").touch()
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "below")}
    told = subprocess.run([sys.executable, "-c", NO_FOLDER], env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 5, told.stderr
    assert "cannot be kept" in told.stderr
    assert "NUMBA_CACHE_DIR" in told.stderr
    said = json.loads(told.stdout)
    assert said["lost"] == said["kernels"]
    assert said["folders"] == []
