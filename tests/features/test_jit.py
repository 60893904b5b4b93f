import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

from radiocard.features.jit import is_on_disk

SOURCE = "from radiocard.features.jit import kernel\n\n\n@kernel\ndef add(x):\n    return x + 1\n"


def load(path):
    spec = spec_from_file_location("some_kernel", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.add


def test_code_made_from_an_older_source_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "some_kernel.py"
    path.write_text(SOURCE)
    add = load(path)
    assert not is_on_disk(add)
    assert add(1) == 2
    assert is_on_disk(add)
    assert is_on_disk(load(path))
    later = path.stat().st_mtime + 100
    path.write_text(SOURCE.replace("+ 1", "+ 2"))
    os.utime(path, (later, later))
    again = load(path)
    assert not is_on_disk(again)
    assert again(1) == 3
    assert again.stats.cache_misses  # numba compiles it anew, too
    os.utime(next((tmp_path / "__pycache__").glob("*.nbi")), (later + 1, later + 1))
    assert is_on_disk(again)


def test_without_a_folder_or_a_source_nothing_is_on_disk(tmp_path):
    add = load(_written(tmp_path))
    assert not is_on_disk(SimpleNamespace(stats=SimpleNamespace(cache_path=None), py_func=add.py_func))
    (tmp_path / "some_kernel.py").unlink()
    assert not is_on_disk(add)


def _written(folder):
    path = folder / "some_kernel.py"
    path.write_text(SOURCE)
    return path
