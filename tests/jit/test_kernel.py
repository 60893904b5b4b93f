import os
import sys
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

from radiocard.jit.kernel import Kernel, kernel, part

SOURCE = """
from radiocard.jit.kernel import kernel, part

@kernel
def add(x, n, out):
    for k in range(len(x)):
        out[k] = plus(x[k], n)

@part
def plus(a, b):
    return a + b
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    path = tmp_path / "some_kernel.py"
    path.write_text(SOURCE)
    return path


def load(path):
    spec = spec_from_file_location("some_kernel", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.add


def added(add, n=1.5):
    out = np.empty(2)
    add(np.array([1.0, 2.0]), n, out)
    return out.tolist()


def no_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)


def test_the_next_process_loads_without_numba(path, monkeypatch):
    assert added(load(path)) == [2.5, 3.5]
    no_numba(monkeypatch)
    assert added(load(path)) == [2.5, 3.5]
    with pytest.raises(ImportError):
        added(load(path), n=2)  # another type was never compiled


def test_code_made_from_another_source_does_not_count(path):
    first = load(path)
    assert first.kept_in is None
    added(first)
    assert first.kept_in == path.parent / "__pycache__"
    assert load(path).kept_in == first.kept_in
    path.write_text(SOURCE.replace("a + b", "a - b"))
    again = load(path)
    assert again.kept_in is None
    assert added(again) == [-0.5, 0.5]


def test_damaged_code_is_made_anew(path):
    first = load(path)
    added(first)
    (file,) = first.kept_in.glob("*.o")
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:40] + b"x" + whole[41:], b""):
        file.write_bytes(damaged)
        assert added(load(path)) == [2.5, 3.5]
        made = file.read_bytes()
        assert made != damaged
        assert sha256(made[32:]).digest() == made[:32]


def test_where_nothing_can_be_written_it_runs_all_the_same(path, monkeypatch):
    (path.parent / "__pycache__").write_text("not a folder")
    monkeypatch.setenv("LOCALAPPDATA", str(path / "below a file"))
    add = load(path)
    assert added(add) == [2.5, 3.5]
    assert add.kept_in is None


def test_a_folder_that_is_named_is_the_only_one(path, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "folder"))
    add = load(path)
    assert add.can_be_kept
    added(add)
    assert add.kept_in == tmp_path / "new" / "folder"
    assert not (tmp_path / "__pycache__").exists()


def test_without_a_home_there_is_one_folder(path, monkeypatch):
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert [f.name for f in load(path).folders()] == ["__pycache__", "radiocard"]
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError))
    assert [f.name for f in load(path).folders()] == ["__pycache__"]


def test_folders_that_cannot_be_written_are_told(path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not load(path).can_be_kept


def test_without_a_source_nothing_is_on_disk(path):
    add = load(path)
    path.unlink()
    assert add.kept_in is None
    assert added(add) == [2.5, 3.5]
    assert Kernel(add.function).kept_in is None


def test_arguments_of_a_wrong_kind_are_refused(path):
    add, out = load(path), np.empty(2)
    with pytest.raises(TypeError, match=r"some_kernel.add was given an array that is not C-contiguous"):
        add(np.arange(4.0)[::2], 1.0, out)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        add(out, "1", out)


def test_each_type_of_array_has_code_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    @kernel
    def total(x, out):
        out[0] = 0
        for value in x:
            out[0] += value

    def of(x):
        out = np.empty(1)
        total(x, out)
        return out[0]

    long, longlong = np.dtype("l"), np.dtype("q")  # where they are equal, one code does for both
    values = [1, 2, 250]
    for dtype in ("u1", "i2", "f4", "f8", "i1", long, longlong, "u1", "?"):
        given = np.array(values).astype(dtype)
        assert of(given) == given.sum(dtype=float)
    assert of(np.array(values, dtype=np.float64)) == 253
    with pytest.raises(TypeError, match="C-contiguous"):  # after it ran with others of that type
        of(np.arange(6.0)[::2])
    with pytest.raises(TypeError, match="C-contiguous"):
        of(np.frombuffer(bytes(17), dtype=np.uint8)[1:].view(np.float64))
    with pytest.raises(TypeError, match="native byte order"):
        of(np.array(values, dtype=">f8"))
    on_disk = np.memmap(tmp_path / "values", dtype=np.float64, shape=(3,), mode="w+")
    on_disk[:] = values
    assert of(on_disk) == 253
    assert of(np.empty(0)) == 0


def test_arrays_with_another_number_of_axes_are_not_mistaken(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    @kernel
    def sizes(x, out):
        for axis in range(x.ndim):
            out[axis] = x.shape[axis] * 100 + x.strides[axis]

    for shape, expected in (((3,), [308]), ((2, 5), [240, 508]), ((2, 3, 4), [296, 332, 408]), ((7,), [708])):
        out = np.zeros(len(shape), dtype=np.int64)
        sizes(np.zeros(shape), out)
        assert out.tolist() == expected


def test_an_error_in_a_kernel_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    @kernel
    def steps(n, out):
        for k in range(0, 4, n):
            out[k] = 1

    out = np.zeros(4)
    steps(2, out)
    assert out.tolist() == [1, 0, 1, 0]
    with pytest.raises(RuntimeError, match="steps raised an error"):
        steps(0, out)


def test_a_kernel_that_calls_what_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    @kernel
    def curve(out):
        out[0] = np.arctan2(out[0], out[1])

    with pytest.raises(NotImplementedError, match="curve calls .*, which is not known"):
        curve(np.ones(2))


def test_results_are_those_of_python(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    @kernel
    def mixed(a, b, whole, real, yes, out):
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                out[i, j] = np.log2(np.exp(a[i, j])) + b[j] * whole + (real if yes else 0.0)

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 5)), rng.integers(0, 9, 5, dtype=np.int32)
    out = np.empty_like(a)
    mixed(a, b, np.int64(3), np.float64(0.5), True, out)
    expected = np.log2(np.exp(a)) + b * 3 + 0.5
    np.testing.assert_allclose(out, expected, rtol=1e-15)
    assert part(len).function is len
