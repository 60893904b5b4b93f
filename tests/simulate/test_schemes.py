import numpy as np
import pytest

from radiocard.errors import UsageError
from radiocard.simulate.schemes import MolliProtocol, Readout, SashaProtocol, molli_beats, saturation_times


def test_ramp_rises_linearly_with_alternating_sign():
    flips = Readout(flip_deg=30.0, n_ramp=2, n_to_centre=1, n_lines=3).flips_deg
    assert flips.tolist() == pytest.approx([10.0, -20.0, 30.0, -30.0, 30.0])


def test_a_readout_is_as_long_as_its_pulses():
    readout = Readout(tr_ms=2.5, n_ramp=5, n_to_centre=30, n_lines=60)
    assert readout.before_ms + readout.after_ms == pytest.approx(65 * 2.5)


def test_beats_of_the_classic_scheme():
    # Messroghli et al., Magn Reson Med 52 (2004) 141: 17 heart beats, inversions for images 1, 4 and 7
    beats = molli_beats(MolliProtocol(scheme="3(3)3(3)5"), 60.0)
    assert [b.inversion_ms is not None for b in beats] == [True, False, False, True, False, False, True] + 4 * [False]
    assert [round((b.centre_ms - 100.0) / 1000.0) for b in beats] == [0, 1, 2, 6, 7, 8, 12, 13, 14, 15, 16]
    assert [b.time_ms for b in beats[:6]] == [100.0, 1100.0, 2100.0, 180.0, 1180.0, 2180.0]
    for b in beats:
        if b.inversion_ms is not None:
            assert b.centre_ms - b.inversion_ms == pytest.approx(b.time_ms)


def test_saturation_times_fill_the_heart_beat():
    protocol = SashaProtocol()
    times = saturation_times(protocol, 60.0)
    assert times[0] == 100.0
    assert times[-1] + protocol.readout.after_ms == pytest.approx(1000.0)
    assert np.ptp(np.diff(times)) < 1e-9


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Readout(flip_deg=0.0), "Flip angle is 0.0 degree"),
        (lambda: Readout(tr_ms=0.0), "Repetition time is 0.0 ms"),
        (lambda: Readout(n_to_centre=80), "Centre line is 80 of 65, after 5 pulses"),
        (lambda: MolliProtocol(scheme="4(1)3"), "MOLLI scheme is '4.1.3'"),
        (lambda: MolliProtocol(first_ti_ms=0.0), "First inversion time is 0.0 ms"),
        (lambda: MolliProtocol(inversion_efficiency=1.1), "Inversion efficiency is 1.1"),
        (lambda: SashaProtocol(n_saturated=1), "Saturated images: 1, expected 2"),
        (lambda: SashaProtocol(shortest_ms=0.0), "Shortest saturation time is 0.0 ms"),
        (lambda: SashaProtocol(saturation_efficiency=0.0), "Saturation efficiency is 0.0"),
        (lambda: molli_beats(MolliProtocol(), 300.0), "Heart rate is 300.0/min"),
        (lambda: molli_beats(MolliProtocol(readout=Readout(tr_ms=5.0)), 200.0), "Readout takes 350 ms"),
        (lambda: molli_beats(MolliProtocol(first_ti_ms=50.0), 60.0), "Shortest inversion time is 50.0 ms"),
        (lambda: molli_beats(MolliProtocol(ti_step_ms=5000.0), 60.0), "Inversion time is 5100.0 ms"),
        (lambda: saturation_times(SashaProtocol(shortest_ms=50.0), 60.0), "Shortest saturation time is 50.0 ms"),
        (lambda: saturation_times(SashaProtocol(shortest_ms=950.0), 60.0), "Longest saturation time is 899 ms"),
    ],
)
def test_refuses_impossible_protocols(make, text):
    with pytest.raises(UsageError, match=text):
        make()
