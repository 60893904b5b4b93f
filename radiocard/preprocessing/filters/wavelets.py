"""Separable wavelets of IBSI-2 (25BO)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import numpy as np

from radiocard.errors import SpecError
from radiocard.preprocessing.filters.rotations import Chain, pool, turned_chains
from radiocard.preprocessing.filters.window import Box, Floats, Respond, Shape, convolved
from radiocard.specs.filters import WaveletFilter


def wavelet_filters(wavelet: str) -> dict[str, Floats]:
    """Return the decomposition filters of a wavelet, low-pass ``L`` and high-pass ``H``.

    Parameters
    ----------
    wavelet : str
        PyWavelets' name, for example ``coif1``.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    SpecError
        If PyWavelets knows no such wavelet.
    """
    pywt = import_module("pywt")
    if wavelet not in pywt.wavelist(kind="discrete"):
        msg = f"There is no discrete wavelet {wavelet!r}."
        raise SpecError(msg, field="filters.wavelet", hint="Known are those of PyWavelets, for example coif1 or db3.")
    found = pywt.Wavelet(wavelet)
    return {"L": np.array(found.dec_lo), "H": np.array(found.dec_hi)}


def wavelet_responses(respond: Respond, shape: Shape, settings: WaveletFilter) -> Iterator[Respond]:
    """Yield the response of each subband, in the order of the settings.

    Levels below the last are low-pass along all axes; kernels are widened by zeros from level
    to level (a trous). ``decimated`` keeps the samples whose index is a multiple of
    2 ** level, and holds each until the next, so that the region stays on its grid.

    Parameters
    ----------
    respond : callable
        The image.
    shape : tuple of int
        Its shape.
    settings : WaveletFilter
        Wavelet, level, subbands, pooling and boundary.

    Yields
    ------
    callable

    Raises
    ------
    SpecError
        If PyWavelets knows no such wavelet.
    """
    filters = wavelet_filters(settings.wavelet)
    for band in settings.subbands:
        chains = [_chain(filters, letter, settings.level) for letter in band]
        sets = turned_chains(chains) if settings.rotation_invariant else [chains]
        yield _subband(respond, shape, sets, settings)


def _subband(respond: Respond, shape: Shape, sets: list[list[Chain]], settings: WaveletFilter) -> Respond:
    parts = [_cascade(respond, shape, one, settings) for one in sets]

    def respond_subband(box: Box) -> Floats:
        return pool((part(box) for part in parts), settings.pooling)

    return _held(respond_subband, settings) if settings.decimated else respond_subband


def _cascade(respond: Respond, shape: Shape, chains: list[Chain], settings: WaveletFilter) -> Respond:
    for step in range(settings.level):
        kernels = [chain[step] for chain in chains]
        respond = convolved(respond, shape, [*kernels, None][:3], settings.boundary)
    return respond


def _held(respond: Respond, settings: WaveletFilter) -> Respond:
    stride = 2**settings.level
    axes = 2 if settings.dimension == "2d" else 3

    def respond_held(box: Box) -> Floats:
        starts = [part.start // stride * stride if axis < axes else part.start for axis, part in enumerate(box)]
        i, j, k = (slice(start, part.stop) for start, part in zip(starts, box, strict=True))
        out = respond((i, j, k))
        for axis in range(axes):
            at = np.arange(box[axis].start, box[axis].stop) // stride * stride - starts[axis]
            out = out.take(at, axis=axis)
        return out

    return respond_held


def _chain(filters: dict[str, Floats], letter: str, level: int) -> Chain:
    kernels = []
    for step in range(level):
        values = filters[letter if step == level - 1 else "L"]
        wide = np.zeros((values.size - 1) * 2**step + 1)
        wide[:: 2**step] = values
        kernels.append((wide, values.size // 2 * 2**step))
    return tuple(kernels)
