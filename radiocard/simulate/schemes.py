"""When MOLLI and SASHA invert, saturate and read out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiocard.errors import UsageError

Float = NDArray[np.float64]
MolliScheme = Literal["5(3)3", "5s(3s)3s", "3(3)3(3)5"]

_PART: Final = re.compile(r"(\d+)(s?)")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


@dataclass(frozen=True)
class Readout:
    """A balanced steady-state readout.

    Parameters
    ----------
    flip_deg : float
        Flip angle, alternating in sign [degree].
    tr_ms : float
        Time between pulses; the echo is half-way.
    n_ramp : int
        Pulses before the first line, with flip angles 1/(n + 1) to n/(n + 1) of the full one.
    n_to_centre : int
        Which line fills the centre of k-space, counted from 1.
    n_lines : int
        Number of lines.

    Raises
    ------
    UsageError
        If the angle is not within 0 to 180 degree, the repetition time not above 0, or the centre not among the lines.
    """

    flip_deg: float = 35.0
    tr_ms: float = 2.7
    n_ramp: int = 5
    n_to_centre: int = 28
    n_lines: int = 65

    def __post_init__(self) -> None:
        _require(0 < self.flip_deg < 180, f"Flip angle is {self.flip_deg} degree, expected above 0 and below 180.")
        _require(self.tr_ms > 0, f"Repetition time is {self.tr_ms} ms, expected above 0.")
        lines = f"Centre line is {self.n_to_centre} of {self.n_lines}, after {self.n_ramp} pulses"
        _require(self.n_ramp >= 0 and 1 <= self.n_to_centre <= self.n_lines, f"{lines}, expected 1 or more of as many.")

    @property
    def flips_deg(self) -> Float:
        """Flip angle of every pulse, shape (n_ramp + n_lines,) [degree]."""
        ramp = np.arange(1, self.n_ramp + 1) / (self.n_ramp + 1)
        size = np.concatenate([ramp, np.ones(self.n_lines)]) * self.flip_deg
        return np.where(np.arange(size.size) % 2 == 0, size, -size)

    @property
    def before_ms(self) -> float:
        """Time from the first pulse to the echo of the centre line [ms]."""
        return (self.n_ramp + self.n_to_centre - 0.5) * self.tr_ms

    @property
    def after_ms(self) -> float:
        """Time from the echo of the centre line to the end [ms]."""
        return (self.n_lines - self.n_to_centre + 0.5) * self.tr_ms


@dataclass(frozen=True)
class MolliProtocol:
    """A MOLLI protocol.

    Parameters
    ----------
    scheme : {'5(3)3', '5s(3s)3s', '3(3)3(3)5'}
        Images after each inversion and pauses between (in brackets), in heart beats, or in seconds that are
        rounded up to whole heart beats.
    first_ti_ms, ti_step_ms : float
        Shortest inversion time, and by how much that of the next inversion is longer [ms].
    inversion_efficiency : float
        Inverted share: longitudinal magnetisation is multiplied by minus this; 1 is perfect. Adiabatic
        pulses reach nearly that [1]_.
    readout : Readout
        How an image is read out.

    Raises
    ------
    UsageError
        If the scheme is unknown, times are not above 0, or the efficiency is not within 0 to 1.

    References
    ----------
    .. [1] Kellman et al., Magn Reson Med 71 (2014) 1428, doi:10.1002/mrm.24793
    """

    scheme: MolliScheme = "5(3)3"
    first_ti_ms: float = 100.0
    ti_step_ms: float = 80.0
    inversion_efficiency: float = 0.96
    readout: Readout = Readout()

    def __post_init__(self) -> None:
        known = ("5(3)3", "5s(3s)3s", "3(3)3(3)5")
        _require(self.scheme in known, f"MOLLI scheme is {self.scheme!r}, expected one of {', '.join(known)}.")
        times = f"First inversion time is {self.first_ti_ms} ms, step {self.ti_step_ms} ms"
        _require(self.first_ti_ms > 0 and self.ti_step_ms > 0, f"{times}, expected above 0.")
        efficiency = f"Inversion efficiency is {self.inversion_efficiency}"
        _require(0 < self.inversion_efficiency <= 1, f"{efficiency}, expected above 0 and up to 1.")


@dataclass(frozen=True)
class SashaProtocol:
    """A SASHA protocol: one image without saturation, then saturation times from short to nearly a heart beat.

    Parameters
    ----------
    n_saturated : int
        Images with saturation, one per heart beat.
    shortest_ms : float
        Shortest saturation time [ms].
    saturation_efficiency : float
        1 leaves nothing, 0 everything.
    readout : Readout
        How an image is read out.

    Raises
    ------
    UsageError
        If there are fewer than two saturated images, or a value is outside its range.
    """

    n_saturated: int = 10
    shortest_ms: float = 100.0
    saturation_efficiency: float = 1.0
    readout: Readout = Readout(flip_deg=70.0)

    def __post_init__(self) -> None:
        _require(self.n_saturated >= 2, f"Saturated images: {self.n_saturated}, expected 2 or more.")
        _require(self.shortest_ms > 0, f"Shortest saturation time is {self.shortest_ms} ms, expected above 0.")
        efficiency = f"Saturation efficiency is {self.saturation_efficiency}"
        _require(0 < self.saturation_efficiency <= 1, f"{efficiency}, expected above 0 and up to 1.")


class Beat(NamedTuple):
    """One image: when its centre is read, when an inversion comes before it (None: before an earlier one), its time."""

    centre_ms: float
    inversion_ms: float | None
    time_ms: float


def molli_beats(protocol: MolliProtocol, heart_rate_bpm: float) -> list[Beat]:
    """Return the images of a MOLLI protocol in the order in which they are taken.

    Parameters
    ----------
    protocol : MolliProtocol
        The protocol.
    heart_rate_bpm : float
        Regular heart rate [1/min].

    Returns
    -------
    list of Beat
        The first inversion is at time 0.

    Raises
    ------
    UsageError
        If the readout does not fit the heart rate, or not between inversion and image.
    """
    interval = _interval(heart_rate_bpm, protocol.readout)
    _fits(protocol.first_ti_ms, protocol.readout, "inversion")
    out: list[Beat] = []
    beat, inversions = 0, 0
    for index, (number, seconds) in enumerate(_PART.findall(protocol.scheme)):
        length = math.ceil(1000.0 * int(number) / interval - 1e-9) if seconds else int(number)
        if index % 2 == 0:
            ti = protocol.first_ti_ms + inversions * protocol.ti_step_ms
            inversion = protocol.first_ti_ms + beat * interval - ti
            free = not out or inversion >= out[-1].centre_ms + protocol.readout.after_ms
            _require(free, f"Inversion time is {ti} ms, expected less than the pause and the heart beat after it.")
            for n in range(length):
                centre = protocol.first_ti_ms + (beat + n) * interval
                out.append(Beat(centre, inversion if n == 0 else None, ti + n * interval))
            inversions += 1
        beat += length
    return out


def saturation_times(protocol: SashaProtocol, heart_rate_bpm: float) -> Float:
    """Return the saturation times, evenly spaced up to the longest that fits, shape (n_saturated,) [ms].

    Raises
    ------
    UsageError
        If the readout does not fit the heart rate, or not between saturation and image.
    """
    interval = _interval(heart_rate_bpm, protocol.readout)
    _fits(protocol.shortest_ms, protocol.readout, "saturation")
    longest = interval - protocol.readout.after_ms
    _require(longest > protocol.shortest_ms, f"Longest saturation time is {longest:.0f} ms, below the shortest.")
    return np.linspace(protocol.shortest_ms, longest, protocol.n_saturated)


def _interval(heart_rate_bpm: float, readout: Readout) -> float:
    _require(20 <= heart_rate_bpm <= 220, f"Heart rate is {heart_rate_bpm}/min, expected 20 to 220.")
    interval = 60_000.0 / heart_rate_bpm
    length = readout.before_ms + readout.after_ms
    _require(length < interval, f"Readout takes {length:.0f} ms, expected less than a heart beat ({interval:.0f} ms).")
    return interval


def _fits(time_ms: float, readout: Readout, what: str) -> None:
    found = f"Shortest {what} time is {time_ms} ms"
    _require(time_ms >= readout.before_ms, f"{found}, expected the {readout.before_ms:.1f} ms before the centre line.")
