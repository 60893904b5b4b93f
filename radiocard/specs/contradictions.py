"""Settings of a feature specification that cannot work together, or that nothing would read."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from radiocard.specs.filters import PyradiomicsLbp2D, PyradiomicsWavelet, WaveletFilter

if TYPE_CHECKING:
    from radiocard.specs.features import FeatureSpec
    from radiocard.specs.filters import Filter

MAX_PATTERN_SAMPLES = 24  # binary digits of a local binary pattern


def contradictions(spec: FeatureSpec) -> Iterator[str]:
    """Find what is valid by itself but not in one specification, or not in this place.

    Parameters
    ----------
    spec : FeatureSpec
        A specification, each part of which is valid.

    Yields
    ------
    str
        The setting, a colon, what is wrong and what to do.
    """
    yield from _of_ivh(spec)
    yield from _of_resampling(spec)
    own = spec.resegmentation
    if own is not None and own.range is None and own.outliers_sd is None:
        yield "resegmentation: it has neither range nor outliers_sd; leave the section out"
    for number, used in enumerate(spec.filters):
        yield from (f"filters.{number}.{what}" for what in _of_filter(used))


def is_wavelet(name: str) -> bool:
    """Return whether PyWavelets knows a discrete wavelet of that name."""
    return name in import_module("pywt").wavelist(kind="discrete")


def _of_ivh(spec: FeatureSpec) -> Iterator[str]:
    if spec.ivh is None:
        if "ivh" in spec.families:
            yield "families: ivh needs the section ivh, for example {method: fbn, bins: 1000}"
        return
    if "ivh" not in spec.families:
        yield "ivh: nothing reads this section; add ivh to families, or leave the section out"
    if spec.ivh.method == "none":
        whole = "ivh.method: none takes grey values as levels, which must be whole numbers:"
        if spec.normalisation.method != "none":
            yield f"{whole} use fbs or fbn with normalisation {spec.normalisation.method}"
        filtered = [used.kind for used in spec.filters if used.kind != "original"]
        if filtered:
            yield f"{whole} use fbs or fbn with the filters {', '.join(filtered)}"


def _of_resampling(spec: FeatureSpec) -> Iterator[str]:
    own = spec.resampling
    if own is None:
        return
    if spec.convention == "ibsi" and own.pad_distance is not None:
        yield "resampling.pad_distance: convention ibsi resamples the whole image; leave it out"
    if spec.convention == "pyradiomics" and own.mask_interpolation != "nearest":
        yield f"resampling.mask_interpolation: convention pyradiomics has nearest only, not {own.mask_interpolation}"
    if own.round_grey and spec.normalisation.method != "none":
        yield (
            f"resampling.round_grey: true would round what normalisation {spec.normalisation.method} gives to "
            "whole numbers; use false"
        )


def _of_filter(used: Filter) -> Iterator[str]:
    if isinstance(used, WaveletFilter | PyradiomicsWavelet) and not is_wavelet(used.wavelet):
        yield f"wavelet: PyWavelets has no discrete wavelet {used.wavelet!r}"
    if isinstance(used, PyradiomicsLbp2D) and used.method in {"default", "ror"} and used.samples > MAX_PATTERN_SAMPLES:
        yield f"samples: {used.samples}, expected at most {MAX_PATTERN_SAMPLES} with method {used.method}"
