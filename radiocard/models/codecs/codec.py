"""What a codec is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from radiocard.models.codecs.arrays import Array, ArrayReader


@dataclass(frozen=True)
class Codec:
    """How the learned attributes of one class become arrays, and back.

    Parameters
    ----------
    arrays : callable
        Fitted step to named arrays.
    restore : callable
        Takes an unfitted step with its settings, the arrays, the number of columns and
        the number of classes; fills the step and returns the number of columns it lets
        through.
    """

    arrays: Callable[[Any], Mapping[str, Array]]
    restore: Callable[[Any, ArrayReader, int, int], int]
