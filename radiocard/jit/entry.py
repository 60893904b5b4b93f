"""The way into machine code: arrays are handed over as addresses of Python objects and unpacked there.

Unpacking them in Python takes longer than many a kernel. CPython and numpy lay objects out in the
same way since numpy 1.7, as C programs rely on it [1]_.

References
----------
.. [1] ``PyArrayObject`` and ``PyArray_Descr`` in numpy's C API, ``ndarraytypes.h``
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

from radiocard.jit.kernel import HEAD, OTHER_TYPES, REAL, Kind

_DATA, _NDIM, _SHAPE, _STRIDES, _DTYPE, _FLAGS = (HEAD + n for n in (0, 8, 16, 24, 40, 48))
_BYTE_ORDER, _TYPE_NUMBER = HEAD + 10, HEAD + 12  # of a dtype
_SWAPPED = ord(">")
_CONTIGUOUS_AND_ALIGNED = 0x101
_WORD = 8


def entry(inner: Any, name: str, kinds: tuple[Kind, ...], symbol: str) -> str:
    """Return a function in LLVM's language that checks and unpacks its arguments and calls a kernel.

    Parameters
    ----------
    inner : ir.FunctionType
        The kernel as numba makes it: two places for results, then for each array owner, parent,
        size, item size, data, shape and strides.
    name : str
        Its symbol.
    kinds : tuple of (str, int)
        Types that the kernel was compiled for.
    symbol : str
        Of the entry, which takes the address of an array object, or a number, per kind.

    Returns
    -------
    str
        A module. Its function returns what the kernel returns, or :data:`OTHER_TYPES`.
    """
    module = ir.Module()
    callee = ir.Function(module, inner, name)
    taken = [ir.DoubleType() if kind == REAL else ir.IntType(64) for kind in kinds]
    outer = ir.Function(module, ir.FunctionType(inner.return_type, taken), symbol)
    builder = ir.IRBuilder(outer.append_basic_block())
    arguments = list(zip(outer.args, kinds, strict=True))
    for argument, (dtype, ndim) in arguments:
        for wrong in _differences(builder, argument, dtype, ndim) if ndim else ():
            with builder.if_then(wrong, likely=False):
                builder.ret(ir.Constant(inner.return_type, OTHER_TYPES))
    unused = builder.ptrtoint(builder.alloca(ir.IntType(64)), ir.IntType(64))
    flat = [unused, unused]
    for argument, (dtype, ndim) in arguments:
        flat += _unpacked(builder, argument, dtype, ndim) if ndim else [argument]
    typed = zip(flat, inner.args, strict=True)
    result = builder.call(callee, [builder.inttoptr(a, t) if isinstance(t, ir.PointerType) else a for a, t in typed])
    builder.ret(result)
    return str(module)


def _read(builder: Any, place: Any, offset: int, bits: int = 64) -> Any:
    return builder.load(builder.inttoptr(builder.add(place, place.type(offset)), ir.IntType(bits).as_pointer()))


def _differences(builder: Any, array: Any, dtype: str, ndim: int) -> list[Any]:
    """Return what is wrong where the array is not of this type, not contiguous or not aligned."""
    own, flags = _read(builder, array, _DTYPE), _read(builder, array, _FLAGS, 32)
    number, order = _read(builder, own, _TYPE_NUMBER, 32), _read(builder, own, _BYTE_ORDER, 8)
    another: Any = ir.IntType(1)(1)
    for n in sorted({np.dtype(code).num for code in np.typecodes["All"] if np.dtype(code).str == dtype}):
        another = builder.and_(another, builder.icmp_signed("!=", number, number.type(n)))
    needed = flags.type(_CONTIGUOUS_AND_ALIGNED)
    return [
        builder.icmp_signed("!=", _read(builder, array, _NDIM, 32), ir.IntType(32)(ndim)),
        another,
        builder.icmp_signed("==", order, order.type(_SWAPPED)),
        builder.icmp_signed("!=", builder.and_(flags, needed), needed),
    ]


def _unpacked(builder: Any, array: Any, dtype: str, ndim: int) -> list[Any]:
    nothing, size = ir.IntType(64)(0), ir.IntType(64)(1)
    sides, steps = (
        [_read(builder, _read(builder, array, field), _WORD * axis) for axis in range(ndim)]
        for field in (_SHAPE, _STRIDES)
    )
    for side in sides:
        size = builder.mul(size, side)
    item = ir.IntType(64)(np.dtype(dtype).itemsize)
    return [nothing, nothing, size, item, _read(builder, array, _DATA), *sides, *steps]
