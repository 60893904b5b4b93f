"""Compiled kernels: machine code is made at the first call and kept on disk for the next process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of arrays and numbers with numba.

    The machine code is kept beside the package, or in the user's cache folder, or in
    ``NUMBA_CACHE_DIR``; where none of them can be written, each process compiles anew.
    Floating point follows IEEE 754 (no reordering, division by 0 gives infinity or NaN), so
    results are equal bit by bit in every thread and process.

    Parameters
    ----------
    function : callable
        Plain loops over numpy arrays; always call it with the same types.

    Returns
    -------
    callable
        The compiled function, a numba dispatcher.
    """
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no folder that it may write to
        return numba.njit(nogil=True, error_model="numpy")(function)


def part(function: Callable[..., Any]) -> Any:
    """Mark a piece of a kernel, which is copied into the kernels that call it.

    It is then compiled once, with them; a kernel that is called by another is compiled twice.

    Parameters
    ----------
    function : callable
        Plain loops over numpy arrays, only called by kernels.

    Returns
    -------
    callable
        The function for use in a kernel.
    """
    return numba.njit(nogil=True, error_model="numpy", inline="always")(function)


def is_on_disk(dispatcher: Any) -> bool:
    """Return whether machine code of a kernel is on disk already.

    Parameters
    ----------
    dispatcher : callable
        What :func:`kernel` returned.

    Returns
    -------
    bool
        False as well where nothing can be kept, and where it was kept before the source file of the
        kernel was written last, as by an upgrade: numba compiles a file anew whose content has changed.
    """
    folder, function = dispatcher.stats.cache_path, dispatcher.py_func
    source = Path(function.__code__.co_filename)
    if not folder or not source.is_file():
        return False
    written = source.stat().st_mtime
    return any(kept.stat().st_mtime >= written for kept in Path(folder).glob(f"*.{function.__qualname__}-*.nbi"))
