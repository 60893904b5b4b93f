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
