"""What commands share: messages, progress, exit codes."""

from __future__ import annotations

import errno
import json
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from radiocard.errors import Issue

OK, BUG, USAGE, PARTIAL, NOTHING, SYSTEM, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
MAX_LINES = 20


def say(text: str = "") -> None:
    """Print one line of result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Print one line about the work itself, apart from results."""
    sys.stderr.write(f"{text}\n")


def say_json(data: Any) -> None:
    """Print a result as JSON and nothing else."""
    say(json.dumps(data, indent=2, ensure_ascii=False))


class _Interrupt:
    """Remember Ctrl-C, which is lost where it falls into a callback of the compiler."""

    seen = False

    def __call__(self, *_: object) -> None:
        self.seen = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise again what was lost."""
        if self.seen:
            raise KeyboardInterrupt


_INTERRUPT = _Interrupt()


def heed_interrupts() -> None:
    """Let Ctrl-C end a command at its next step at the latest; one that is ignored stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _INTERRUPT)


class _Pace:
    """Steps done, the time they took and what is left at that pace.

    What an earlier run had done counts as done, and took no time.
    """

    def __init__(self, total: int, *, resumed: bool) -> None:
        self.total = total
        self.done = 0
        self.kept: int | None = None if resumed else 0
        self.start = time.monotonic()

    def step(self, *told: object) -> None:
        """Count one step, or take the number of steps done where it is told beside the total."""
        match told:
            case (int(done), self.total):
                self.done = done
            case _:
                self.done += 1
        if self.kept is None:
            self.kept = self.done

    @property
    def text(self) -> str:
        """Time so far and about how long is left, in hours, minutes and seconds."""
        passed = time.monotonic() - self.start
        fresh = self.done - (self.kept or 0)
        if fresh <= 0 or self.done >= self.total:
            return _clock(passed)
        return f"{_clock(passed)}, about {_clock(passed / fresh * (self.total - self.done))} left"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def progress(title: str, total: int, *, resumed: bool = False) -> Iterator[Callable[..., None]]:
    """Give a callable that counts one step: a bar on a terminal, plain lines elsewhere.

    With ``resumed``, its first call tells what an earlier run had done.
    """
    pace = _Pace(total, resumed=resumed)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total, left="")

            def advance(*told: object) -> None:
                _INTERRUPT.check()
                pace.step(*told)
                bar.update(task, completed=pace.done, left=pace.text.partition(", ")[2])

            yield advance
        return
    step = max(1, total // 10)

    def count(*told: object) -> None:
        _INTERRUPT.check()
        first = pace.kept is None
        pace.step(*told)
        if first:
            note(f"{title}: {pace.done} of {total} kept by an earlier run")
        elif pace.done % step == 0 or pace.done == total:
            note(f"{title}: {pace.done} of {total} ({pace.text})")

    yield count


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print warnings as one plain line each, without the place in the code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")
        yield


def counted(n: int, what: str) -> str:
    """Return a number and what it counts: ``1 case``, ``2 cases``."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def say_issues(issues: Iterable[Issue]) -> None:
    """Print refused cases one by one, and warnings counted by kind."""
    for line in issue_lines(issues):
        say(line)


def issue_lines(issues: Iterable[Issue]) -> Iterator[str]:
    """Yield a line per refused case, and one per kind of warning."""
    from radiocard.errors import CODES

    found = list(issues)
    refused = [issue for issue in found if issue.severity == "refuse"]
    for issue in refused[:MAX_LINES]:
        yield f"  refused  {issue}"
    if len(refused) > MAX_LINES:
        yield f"  refused  and {len(refused) - MAX_LINES} more findings"
    cases = Counter(code for code, _ in {(i.code, i.case) for i in found if i.severity == "warn"})
    for code, n in sorted(cases.items(), key=lambda item: (-item[1], item[0])):
        yield f"  warning  {code}: {counted(n, 'case')}. {CODES[code][1]}"


def require_suffix(path: Path, *allowed: str) -> None:
    """Refuse an output name before any work is done.

    Raises
    ------
    UsageError
        If the name does not end in one of the allowed suffixes.
    """
    from radiocard.errors import UsageError

    if not path.name.endswith(allowed):
        msg = f"{path.name!r} does not end in {' or '.join(allowed)}."
        raise UsageError(msg)


def exit_code(error: BaseException) -> int:
    """Return the exit code that belongs to an error."""
    from radiocard.errors import RadiocardError

    if isinstance(error, RadiocardError):
        if error.code == "E_LOCKED":
            return USAGE
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, MemoryError | PermissionError):
        return SYSTEM
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT}:
        return SYSTEM
    return BUG


def compile_first() -> None:
    """Compile the feature engine where its machine code is not on disk yet, and say so."""
    from radiocard.study.warm import state, warm

    found = state()
    if found == "missing":
        note("Compiling the feature engine: once, some ten seconds.")
        warm()
    elif found == "not kept":
        note("No folder for machine code can be written: each process compiles anew. See radiocard warm.")
