"""MOLLI [1]_ and SASHA [2]_ signal by Bloch simulation, pulse by pulse, for many tissues at once.

What is simulated
    Hard pulses of alternating phase, free precession and relaxation between them. A balanced
    steady-state readout begins with ``n_ramp`` pulses whose flip angle rises linearly, and its signal is
    the echo of the pulse ``n_to_centre``, which fills the centre of k-space. Transverse magnetisation is
    spoiled before an inversion or saturation, and after each readout, since hundreds of milliseconds pass.
    Inversion times are counted to the echo of the centre line.
What is not
    Slice profile, magnetisation transfer, flow, arrhythmia, and the blurring that signal changes within a
    readout cause in the image.

The readout perturbs recovery, more so for short T2 and fast hearts, so T1 fitted to MOLLI with the
Look-Locker correction is several per cent low [3]_; off-resonance adds to it [4]_.

References
----------
.. [1] Messroghli et al., Magn Reson Med 52 (2004) 141, doi:10.1002/mrm.20110
.. [2] Chow et al., Magn Reson Med 71 (2014) 2082, doi:10.1002/mrm.24878
.. [3] Kellman and Hansen, J Cardiovasc Magn Reson 16 (2014) 2, doi:10.1186/1532-429X-16-2
.. [4] Kellman et al., J Cardiovasc Magn Reson 15 (2013) 63, doi:10.1186/1532-429X-15-63
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import UsageError
from radiocard.simulate.schemes import MolliProtocol, Readout, SashaProtocol, molli_beats, saturation_times

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

_RANGE_MS: Final = (1.0, 20_000.0)


class Tissue(NamedTuple):
    """Relaxation times [ms] and off-resonance [Hz], flat arrays of one length."""

    t1_ms: Float
    t2_ms: Float
    off_resonance_hz: Float


class Magnetisation(NamedTuple):
    """Transverse (complex) and longitudinal magnetisation; 1 in equilibrium."""

    transverse: Complex
    longitudinal: Float


def relax(m: Magnetisation, tissue: Tissue, time_ms: float) -> Magnetisation:
    """Let magnetisation precess and relax freely for some time [ms]."""
    turn = np.exp(2j * np.pi * tissue.off_resonance_hz * time_ms / 1000.0 - time_ms / tissue.t2_ms)
    return Magnetisation(m.transverse * turn, 1.0 + (m.longitudinal - 1.0) * np.exp(-time_ms / tissue.t1_ms))


def excite(m: Magnetisation, flip_deg: float) -> Magnetisation:
    """Turn magnetisation about the x axis; a negative angle is a pulse of opposite phase."""
    cos, sin = np.cos(np.deg2rad(flip_deg)), np.sin(np.deg2rad(flip_deg))
    x, y, z = m.transverse.real, m.transverse.imag, m.longitudinal
    return Magnetisation(x + 1j * (y * cos - z * sin), y * sin + z * cos)


def molli_signal(
    t1_ms: ArrayLike,
    t2_ms: ArrayLike,
    *,
    protocol: MolliProtocol,
    heart_rate_bpm: float,
    off_resonance_hz: ArrayLike = 0.0,
) -> tuple[Float, Float]:
    """Simulate the magnitude signal of a MOLLI series.

    Parameters
    ----------
    t1_ms, t2_ms, off_resonance_hz : array_like of float
        Tissue; broadcast against each other to a common shape [ms, ms, Hz].
    protocol : MolliProtocol
        Scheme, inversion and readout.
    heart_rate_bpm : float
        Regular heart rate [1/min].

    Returns
    -------
    times_ms : ndarray of float, shape (n,)
        Inversion times, rising [ms].
    signal : ndarray of float, shape (..., n)
        Magnitude, relative to the signal of one pulse of the readout's flip angle in equilibrium.

    Raises
    ------
    UsageError
        If relaxation times are not within 1 ms to 20 s, T2 exceeds T1, the heart is too fast for the
        readout, or the inversion time too short for the pulses before the centre of k-space.

    Examples
    --------
    >>> times, signal = molli_signal(1000.0, 45.0, protocol=MolliProtocol(), heart_rate_bpm=60.0)
    >>> times.tolist()
    [100.0, 180.0, 1100.0, 1180.0, 2100.0, 2180.0, 3100.0, 4100.0]
    """
    tissue, shape = _tissue(t1_ms, t2_ms, off_resonance_hz)
    beats = molli_beats(protocol, heart_rate_bpm)
    readout = _readout(tissue, protocol.readout)
    before, after = protocol.readout.before_ms, protocol.readout.after_ms
    z, now = np.ones_like(tissue.t1_ms), 0.0
    signals = []
    for beat in beats:
        if beat.inversion_ms is not None:
            z = -protocol.inversion_efficiency * _recover(z, tissue, beat.inversion_ms - now)
            now = beat.inversion_ms
        z = _recover(z, tissue, beat.centre_ms - before - now)
        signals.append(readout.signal(z))
        z, now = readout.after(z), beat.centre_ms + after
    times = np.array([beat.time_ms for beat in beats])
    order = np.argsort(times)
    return times[order], np.stack([signals[i] for i in order], axis=-1).reshape(*shape, times.size)


def sasha_signal(
    t1_ms: ArrayLike,
    t2_ms: ArrayLike,
    *,
    protocol: SashaProtocol,
    heart_rate_bpm: float,
    off_resonance_hz: ArrayLike = 0.0,
) -> tuple[Float, Float]:
    """Simulate the magnitude signal of a SASHA series.

    The image without saturation is taken first, in equilibrium, and given last, at an infinite time.

    Parameters
    ----------
    t1_ms, t2_ms, off_resonance_hz : array_like of float
        Tissue; broadcast against each other to a common shape [ms, ms, Hz].
    protocol : SashaProtocol
        Saturation and readout.
    heart_rate_bpm : float
        Regular heart rate [1/min].

    Returns
    -------
    times_ms : ndarray of float, shape (n,)
        Saturation times, rising; the last is infinite [ms].
    signal : ndarray of float, shape (..., n)
        Magnitude, relative to the signal of one pulse of the readout's flip angle in equilibrium.

    Raises
    ------
    UsageError
        As :func:`molli_signal`.
    """
    tissue, shape = _tissue(t1_ms, t2_ms, off_resonance_hz)
    times = saturation_times(protocol, heart_rate_bpm)
    readout = _readout(tissue, protocol.readout)
    before, after = protocol.readout.before_ms, protocol.readout.after_ms
    interval = 60_000.0 / heart_rate_bpm
    z = np.ones_like(tissue.t1_ms)
    unsaturated = readout.signal(z)
    z = readout.after(z)
    signals = []
    for time in times:
        z = _recover(z, tissue, interval - after - time) * (1.0 - protocol.saturation_efficiency)
        z = _recover(z, tissue, time - before)
        signals.append(readout.signal(z))
        z = readout.after(z)
    stack = np.stack([*signals, unsaturated], axis=-1)
    return np.append(times, np.inf), stack.reshape(*shape, times.size + 1)


class _ReadoutEffect(NamedTuple):
    """Signal and remaining longitudinal magnetisation, both affine in what the readout finds."""

    signal_slope: Complex
    signal_offset: Complex
    slope: Float
    offset: Float

    def signal(self, z: Float) -> Float:
        return np.abs(self.signal_slope * z + self.signal_offset)

    def after(self, z: Float) -> Float:
        return self.slope * z + self.offset


def _readout(tissue: Tissue, readout: Readout) -> _ReadoutEffect:
    """Run the pulse train from no and from full longitudinal magnetisation; the Bloch equations are affine."""
    ends = []
    for start in (0.0, 1.0):
        m = Magnetisation(np.zeros(tissue.t1_ms.size, dtype=complex), np.full(tissue.t1_ms.size, start))
        echo = m.transverse
        for index, flip in enumerate(readout.flips_deg):
            m = relax(excite(m, flip), tissue, readout.tr_ms / 2)
            if index == readout.n_ramp + readout.n_to_centre - 1:
                echo = m.transverse / np.sin(np.deg2rad(readout.flip_deg))
            m = relax(m, tissue, readout.tr_ms / 2)
        ends.append((echo, m.longitudinal))
    (echo_0, z_0), (echo_1, z_1) = ends
    return _ReadoutEffect(echo_1 - echo_0, echo_0, z_1 - z_0, z_0)


def _recover(z: Float, tissue: Tissue, time_ms: float) -> Float:
    return 1.0 + (z - 1.0) * np.exp(-time_ms / tissue.t1_ms)


def _tissue(t1_ms: ArrayLike, t2_ms: ArrayLike, off_resonance_hz: ArrayLike) -> tuple[Tissue, tuple[int, ...]]:
    t1, t2, off = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (t1_ms, t2_ms, off_resonance_hz)))
    for name, values in (("T1", t1), ("T2", t2)):
        if not ((values >= _RANGE_MS[0]) & (values <= _RANGE_MS[1])).all():
            msg = f"{name} is {np.min(values)} to {np.max(values)} ms, expected {_RANGE_MS[0]} to {_RANGE_MS[1]} ms."
            raise UsageError(msg, field=name, hint="Check that it is in milliseconds.")
    if (t2 > t1).any():
        msg = f"T2 exceeds T1 in {int((t2 > t1).sum())} of {t1.size} tissues, expected none."
        raise UsageError(msg, field="T2")
    if not np.isfinite(off).all():
        msg = "Off-resonance is not finite, expected a frequency in Hz."
        raise UsageError(msg, field="off_resonance_hz")
    return Tissue(t1.ravel(), t2.ravel(), off.ravel()), t1.shape
