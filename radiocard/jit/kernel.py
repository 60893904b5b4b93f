"""Compiled kernels: machine code is made at the first call and kept on disk for the next process.

Numba makes the machine code, and llvmlite, on which numba rests, loads it again: importing numba
and having it load its own files takes longer than a whole patient.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from types import FunctionType
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np

from radiocard.errors import OutputError
from radiocard.io.atomic import write_bytes

Kind = tuple[str, int]  # type and number of axes of an argument
REAL: Kind = ("<f8", 0)
WHOLE: Kind = ("<i8", 0)
OTHER_TYPES = -1000
"""What the entry to machine code returns where it was made for other arrays."""

HEAD = object.__basicsize__
"""Size of what each Python object begins with [byte]; a free-threaded Python has another one."""

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_CHECKSUM_BYTES = 32
_NO_ERROR = (0, -2)  # what machine code returns after a value, or after None
_EXTERNAL = ("exp", "log", "log2", "pow", "sqrt", "memcpy", "memset")  # functions of C that machine code may call
_LOADING = Lock()
_OBJECTS = 50_000  # made between two collections


@dataclass(frozen=True)
class Part:
    """A piece of a kernel, see :func:`part`."""

    function: Callable[..., Any]


class Kernel:
    """A function of arrays and numbers that runs as machine code, see :func:`kernel`.

    Parameters
    ----------
    function : callable
        Plain loops over numpy arrays.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        self._loaded: dict[tuple[Kind, ...], Callable[..., int]] = {}
        self._latest: dict[tuple[type, ...], Callable[..., int]] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run the machine code.

        Parameters
        ----------
        *arguments : ndarray, int or float
            Arrays are C-contiguous.

        Raises
        ------
        TypeError
            If an array is not, or a number is none.
        RuntimeError
            If the function raised an error.
        """
        flat = [id(a) if isinstance(a, np.ndarray) else a.item() if isinstance(a, np.generic) else a for a in arguments]
        types = tuple(map(type, arguments))
        run = self._latest.get(types)
        status = OTHER_TYPES if run is None else run(*flat)
        if status == OTHER_TYPES:
            kinds = tuple(self._kind(argument) for argument in arguments)
            self._latest[types] = run = self._loaded.get(kinds) or self._load(kinds)
            status = run(*flat)
        if status not in _NO_ERROR:
            msg = f"The kernel {self.name} raised an error."
            raise RuntimeError(msg)

    def _kind(self, argument: Any) -> Kind:
        if isinstance(argument, np.ndarray):
            flags = argument.flags
            if not (argument.ndim and flags.c_contiguous and flags.aligned and argument.dtype.isnative):
                msg = f"{self.name} was given an array that is not C-contiguous, aligned and in native byte order."
                raise TypeError(msg)
            return argument.dtype.str, argument.ndim
        if isinstance(argument, float | np.floating):
            return REAL
        operator.index(argument)
        return WHOLE

    @property
    def name(self) -> str:
        """Module and name of the function."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def kept_in(self) -> Path | None:
        """Folder that holds machine code made from the present source file, if one does."""
        found = (folder for folder in self.folders() if any(folder.glob(f"{self._file}-*.o")))
        return next(found, None)

    @property
    def can_be_kept(self) -> bool:
        """Whether one of the folders can be written."""
        there = (next(p for p in (folder, *folder.parents) if p.is_dir()) for folder in self.folders())
        return any(os.access(folder, os.W_OK) for folder in there)

    def folders(self) -> Iterator[Path]:
        """Yield where machine code is looked for, and kept in the first that can be written."""
        named = os.environ.get("NUMBA_CACHE_DIR")
        if named:
            yield Path(named)
            return
        yield Path(self.function.__code__.co_filename).parent / "__pycache__"
        try:
            home = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        except RuntimeError:  # there is no home
            return
        yield Path(home) / "radiocard"

    @cached_property
    def _file(self) -> str:
        """Start of the name of files; another source file, processor or compiler gives another one."""
        source = Path(self.function.__code__.co_filename)
        content = source.read_bytes() if source.is_file() else os.urandom(16)
        return f"{self.name}-{hashlib.sha256(content + _maker()).hexdigest()[:20]}"

    def _load(self, kinds: tuple[Kind, ...]) -> Callable[..., int]:
        with _LOADING:
            file = f"{self._file}-{'_'.join(f'{kind[1:]}{ndim}' for kind, ndim in kinds)}"
            symbol = "radiocard_" + hashlib.sha256(file.encode()).hexdigest()[:32]
            code = _read(list(self.folders()), f"{file}.o")
            if code is None:
                with _rare_collections():
                    code = _compile(self.function, kinds, symbol)
                _keep(self.folders(), f"{file}.o", code)
            engine = _engine()
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            run: Callable[..., int] = _prototype(kinds)(engine.get_function_address(symbol))
            self._loaded[kinds] = run
            return run


def kernel(function: Callable[..., None]) -> Kernel:
    """Compile a function of arrays and numbers with numba.

    The machine code is kept beside the package, or in the user's cache folder, or in
    ``NUMBA_CACHE_DIR``; where none of them can be written, each process compiles anew.
    Floating point follows IEEE 754 (no reordering, division by 0 gives infinity or NaN), so
    results are equal bit by bit in every thread and process.

    Parameters
    ----------
    function : callable
        Plain loops over C-contiguous numpy arrays that make no array and return nothing;
        always call it with the same types.

    Returns
    -------
    Kernel
    """
    return Kernel(function)


def part(function: Callable[..., Any]) -> Any:
    """Mark a piece of a kernel, which is copied into the kernels of its file that call it.

    Parameters
    ----------
    function : callable
        Plain loops over numpy arrays, only called by kernels and other parts.

    Returns
    -------
    Part
        The function for use in a kernel.
    """
    return Part(function)


def _prototype(kinds: tuple[Kind, ...]) -> Any:
    """Return the type of entries, which take arrays as addresses of objects and numbers as they are."""
    return ctypes.CFUNCTYPE(ctypes.c_int, *(ctypes.c_double if kind == REAL else ctypes.c_int64 for kind in kinds))


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Compiling makes so many objects that Python would spend a tenth of the time on looking for garbage."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(_OBJECTS, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _read(folders: list[Path], name: str) -> bytes | None:
    """Return machine code from disk if it is there and whole."""
    for folder in folders:
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        code = data[_CHECKSUM_BYTES:]
        if hashlib.sha256(code).digest() == data[:_CHECKSUM_BYTES]:
            return code
    return None


def _keep(folders: Iterator[Path], name: str, code: bytes) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(hashlib.sha256(code).digest() + code, folder / name)
        except (OSError, OutputError):
            continue
        return


def _compile(function: Callable[..., None], kinds: tuple[Kind, ...], symbol: str) -> bytes:
    """Make machine code of one function for one set of types."""
    import numba  # late: slow

    from radiocard.jit.entry import entry

    types = tuple(_type(numba, kind, ndim) for kind, ndim in kinds)
    options = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher = numba.njit(**options)(_whole(numba, function))
    dispatcher.compile(types)
    module = llvm.parse_assembly(dispatcher.inspect_llvm(types))
    _refuse_unknown_calls(function, module)
    made = dispatcher.overloads[types].fndesc
    inner = dispatcher.targetctx.call_conv.get_function_type(made.restype, made.argtypes)
    module.link_in(llvm.parse_assembly(entry(inner, made.llvm_func_name, kinds, symbol)))
    code: bytes = _machine().emit_object(module)
    return code


def _refuse_unknown_calls(function: Callable[..., None], module: Any) -> None:
    """Refuse a function whose loading would end the process."""
    called = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if not called <= set(_EXTERNAL):
        msg = f"The kernel {function.__name__} calls {', '.join(sorted(called - set(_EXTERNAL)))}, which is not known."
        raise NotImplementedError(msg)


def _type(numba: Any, kind: str, ndim: int) -> Any:
    own = numba.from_dtype(np.dtype(kind))
    return numba.types.Array(own, ndim, "C") if ndim else own


def _whole(numba: Any, function: Callable[..., Any]) -> FunctionType:
    """Return a function in which the parts that it calls are known to numba."""
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        if isinstance(names.get(name), Part):
            names[name] = numba.njit(inline="always", **_OPTIONS)(_whole(numba, names[name].function))
    return FunctionType(function.__code__, names, function.__name__)


@cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@cache
def _processor() -> dict[str, str]:
    return {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}


@cache
def _maker() -> bytes:
    """Return what machine code depends on besides its source."""
    parts = (llvmlite.__version__, str(HEAD), _target().triple, *_processor().values())
    here = Path(__file__)
    return here.read_bytes() + here.with_name("entry.py").read_bytes() + " ".join(parts).encode()


def _machine() -> Any:
    return _target().create_target_machine(**_processor(), opt=3, reloc="default", codemodel="jitdefault", jit=True)


@cache
def _engine() -> Any:
    for name in _EXTERNAL:
        if llvm.address_of_symbol(name) is None:  # Windows keeps them in a library
            library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
            llvm.add_symbol(name, ctypes.cast(library[name], ctypes.c_void_p).value)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
