import warnings
from contextlib import suppress

import pytest

from radiocard.cli import console


def test_an_interrupt_that_was_swallowed_ends_the_work_at_the_next_step(monkeypatch):
    interrupt = console._Interrupt()
    monkeypatch.setattr(console, "_INTERRUPT", interrupt)
    with console.progress("Extracting", 3) as step:
        step()
        with suppress(KeyboardInterrupt):
            interrupt()
        with pytest.raises(KeyboardInterrupt):
            step()


class Clock:
    """A clock that the test winds on."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    wound = Clock()
    monkeypatch.setattr(console, "time", wound)
    return wound


def test_lines_tell_the_time_so_far_and_about_how_long_is_left(clock, capsys):
    with console.progress("Nested folds", 4) as step:
        for done in range(1, 5):
            clock.now += 90.0
            step(done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "Nested folds: 1 of 4 (0:01:30, about 0:04:30 left)",
        "Nested folds: 2 of 4 (0:03:00, about 0:03:00 left)",
        "Nested folds: 3 of 4 (0:04:30, about 0:01:30 left)",
        "Nested folds: 4 of 4 (0:06:00)",
    ]


def test_what_an_earlier_run_kept_took_no_time(clock, capsys):
    with console.progress("Nested folds", 15, resumed=True) as step:
        step(12, 15)
        clock.now += 60.0
        step(13, 15)
    assert capsys.readouterr().err.splitlines() == [
        "Nested folds: 12 of 15 kept by an earlier run",
        "Nested folds: 13 of 15 (0:01:00, about 0:02:00 left)",
    ]


def test_a_bar_on_a_terminal_shows_what_is_left(clock, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with console.progress("Nested folds", 4) as step:
        clock.now = 30.0
        step(1, 4)
    shown = capsys.readouterr().err
    assert "1/4" in shown
    assert "about 0:01:30 left" in shown


def test_a_step_without_numbers_counts_one(clock, capsys):
    with console.progress("Extracting", 2) as step:
        step("a case")
        step("another")
    assert capsys.readouterr().err.splitlines()[-1] == "Extracting: 2 of 2 (0:00:00)"


def test_a_warning_is_one_plain_line(capsys):
    with console.warnings_as_notes():
        warnings.warn("a kept fold is damaged", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: a kept fold is damaged\n"
