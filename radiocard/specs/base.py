"""What all specifications share: frozen, strict about unknown settings, and a few number types."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Distance = Annotated[int, Field(ge=1, le=15)]  # kernels count neighbours and sum their grey levels in 32 bits
Interval = tuple[float, float]
T = TypeVar("T")


def _distinct(value: tuple[T, ...]) -> tuple[T, ...]:
    twice = [str(item) for item in dict.fromkeys(value) if value.count(item) > 1]
    if twice:
        msg = f"more than once: {', '.join(twice)}"
        raise ValueError(msg)
    return value


Distinct = AfterValidator(_distinct)


class Frozen(BaseModel):
    """A specification or a part of one; unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


@lru_cache(maxsize=256)
def number_text(value: float) -> str:
    """Write a number for a name: its shortest exact decimals without exponent, ``p`` for the point.

    Examples
    --------
    >>> number_text(25.0), number_text(2.5), number_text(1e-05)
    ('25', '2p5', '0p00001')
    """
    text = format(Decimal(repr(float(value))), "f")
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}p{decimals}" if decimals else whole


def digest(data: Any) -> str:
    """Return the SHA-256 of plain data, independent of the order of keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
