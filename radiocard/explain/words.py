"""Sentences in clinical words: the answer, and the reasons for and against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from radiocard.cardiac.reference import ReferenceRange
from radiocard.errors import UsageError
from radiocard.explain.shap_values import Explanation
from radiocard.features.registry import ColumnInfo

Describe = Callable[[str], ColumnInfo | None]
Training = Mapping[str, Mapping[str, Sequence[float]]]

NOT_EXCLUDED = 0.10
SURE_ENOUGH = 0.50
SMALLEST_SHARE = 0.01
TELLING = 0.60

CLASS_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "NOR": "normal",
        "DCM": "dilated cardiomyopathy",
        "HCM": "hypertrophic cardiomyopathy",
        "MINF": "previous myocardial infarction",
        "RV": "abnormal right ventricle",
        "AMYL": "cardiac amyloidosis",
        "HHD": "hypertensive heart disease",
        "MYOC": "acute myocarditis",
        "ISCH": "ischaemic scar",
        "NISCH": "non-ischaemic scar",
    }
)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SEX = {"F": "women", "M": "men"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One measurement that speaks for or against a class.

    Parameters
    ----------
    column : str
        Column of the table.
    name : str
        Plain name.
    value_text : str
        The patient's value with its unit.
    contribution : float
        SHAP value in the scale of the explanation; positive speaks for the class.
    sentence : str
        The reason in words.
    """

    column: str
    name: str
    value_text: str
    contribution: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Reasons:
    """What speaks for and against one class.

    Parameters
    ----------
    label : str
        Class.
    speaks_for, against : tuple of Reason
        Strongest first.
    sentences : tuple of str
        Reasons for, then against; where one side is empty, a sentence says so.
    """

    label: str
    speaks_for: tuple[Reason, ...]
    against: tuple[Reason, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a measurement is compared with; every part may be empty, and nothing is said then.

    Parameters
    ----------
    describe : callable
        Column to its dictionary entry, or None.
    reference : mapping of str to ReferenceRange
        Column to its reference interval for this patient's sex and age.
    sex : {'F', 'M'} or None
        Sex that the reference holds for.
    training : mapping of str to mapping of str to sequence of float
        Column to class label to the values of the training patients.
    """

    describe: Describe
    reference: Mapping[str, ReferenceRange] = field(default_factory=dict)
    sex: str | None = None
    training: Training = field(default_factory=dict)


def class_name(label: str) -> str:
    """Return the plain name of a class; unknown labels stand as they are.

    Examples
    --------
    >>> class_name("DCM"), class_name("site-specific 7")
    ('dilated cardiomyopathy', 'site-specific 7')
    """
    return CLASS_NAMES.get(label, label)


def format_value(value: float | None, unit: str = "") -> str:
    """Write a measurement with its unit, to three significant figures.

    Examples
    --------
    >>> format_value(24.31, "%"), format_value(183.7, "mL"), format_value(9.0, "mm"), format_value(None, "mL")
    ('24 %', '184 mL', '9.0 mm', 'not defined')
    """
    if value is None or not math.isfinite(value):
        return "not defined"
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-3:
        text = f"{value:.2e}"
    elif size >= 100 or (size >= 10 and unit == "%"):
        text = f"{value:.0f}"
    elif size >= 10 or unit in {"mm", "%"}:
        text = f"{value:.1f}"
    else:
        text = f"{value:.3g}"
    text = f"{float(text):.0f}" if unit in {"segments", "count"} else text
    return f"{text} {unit}" if unit else text


def format_percent(p: float) -> str:
    """Write a probability as whole percent, never 0 or 100 unless it is.

    Examples
    --------
    >>> format_percent(0.812), format_percent(0.9991), format_percent(0.002)
    ('81 %', '> 99 %', '< 1 %')
    """
    text = f"{100 * p:.0f} %"
    if text == "100 %" and p < 1:
        return "> 99 %"
    return "< 1 %" if text == "0 %" and p > 0 else text


def answer_sentence(probabilities: Sequence[float], classes: Sequence[str]) -> str:
    """Write the answer of a model as one sentence.

    A class is 'not excluded' if its probability is at least 10 %; below 50 % for the first
    class the sentence says that no class reaches half.

    Parameters
    ----------
    probabilities : sequence of float, length n_classes
        Printed probabilities.
    classes : sequence of str
        Labels in the same order; the first of equal ones is named.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        If there are not as many probabilities as classes.

    Examples
    --------
    >>> answer_sentence([0.02, 0.81, 0.14, 0.02, 0.01], ["NOR", "DCM", "HCM", "MINF", "RV"])
    'Pattern most like dilated cardiomyopathy: 81 % among the five classes this model knows, at the training class mix; hypertrophic cardiomyopathy (14 %) not excluded.'
    """  # noqa: E501
    p = np.asarray(probabilities, dtype=float)
    if p.shape != (len(classes),) or not len(classes):
        msg = f"There are {p.size} probabilities for {len(classes)} classes."
        raise UsageError(msg)
    order = np.argsort(-p, kind="stable")
    first = int(order[0])
    known = _NUMBERS[len(classes)] if len(classes) < len(_NUMBERS) else str(len(classes))
    start = "Pattern most like" if round(p[first], 2) >= SURE_ENOUGH else "No class reaches 50 %; pattern most like"
    text = (
        f"{start} {class_name(classes[first])}: {format_percent(p[first])} among the {known} classes this model knows, "
        "at the training class mix"
    )
    open_ones = [f"{class_name(classes[i])} ({format_percent(p[i])})" for i in order[1:] if p[i] >= NOT_EXCLUDED]
    return f"{text}; {_and(open_ones)} not excluded." if open_ones else f"{text}."


def scope_sentence(classes: Sequence[str]) -> str:
    """Say what the model can name, and that it cannot name anything else.

    Examples
    --------
    >>> scope_sentence(["NOR", "DCM"])
    'This model can only name normal and dilated cardiomyopathy; any other finding is outside what it knows.'
    """
    names = _and([class_name(c) for c in classes])
    return f"This model can only name {names}; any other finding is outside what it knows."


def find_reasons(
    explanation: Explanation,
    label: str,
    *,
    values: Mapping[str, float | None],
    context: Context,
    row: int = 0,
    n_for: int = 3,
    n_against: int = 1,
) -> Reasons:
    """Put the strongest contributions to one class into words.

    Contributions below 1 % of the sum of all magnitudes are not named, so that there may be
    fewer reasons than asked for.

    Parameters
    ----------
    explanation : Explanation
    label : str
        Class to explain.
    values : mapping of str to float or None
        The patient's values, in the units of the dictionary.
    context : Context
        Dictionary, reference intervals and training values.
    row : int
        Patient within the explanation.
    n_for, n_against : int
        Largest number of reasons on each side.

    Returns
    -------
    Reasons

    Raises
    ------
    UsageError
        If the model does not know the class.
    """
    ranked = explanation.ranked(label, row=row)
    least = SMALLEST_SHARE * sum(abs(phi) for _, phi in ranked)
    strong = [(column, phi) for column, phi in ranked if abs(phi) > least]
    made = [_reason(column, phi, label, values.get(column), context) for column, phi in strong]
    speaks_for = tuple(r for r in made if r.contribution > 0)[:n_for]
    against = tuple(r for r in made if r.contribution < 0)[:n_against]
    sentences = [r.sentence for r in (*speaks_for, *against)]
    if not speaks_for:
        sentences.insert(0, f"No single measurement speaks for {class_name(label)}.")
    if not against:
        sentences.append(f"No single measurement speaks against {class_name(label)} in this model.")
    return Reasons(label, speaks_for, against, tuple(sentences))


def describe_value(column: str, value: float | None, label: str, context: Context, *, speaks_for: bool) -> str:
    """Say where a value stands: against its reference interval, and against the training patients.

    Parameters
    ----------
    column : str
    value : float or None
    label : str
        Class under discussion.
    context : Context
    speaks_for : bool
        Whether to compare with the training patients of other classes (else with those of the class).

    Returns
    -------
    str
        Empty where neither is known, or the value is undefined.
    """
    if value is None or not math.isfinite(value):
        return ""
    info = context.describe(column)
    known = context.reference.get(column)
    parts = []
    if known is not None:
        parts.append(_against_reference(value, known, info.unit if info else "", context.sex))
    rank = _against_training(value, context.training.get(column, {}), label, speaks_for=speaks_for)
    return "; ".join([*parts, rank] if rank else parts)


def _reason(column: str, phi: float, label: str, value: float | None, context: Context) -> Reason:
    info = context.describe(column)
    name = info.name if info else column
    value_text = format_value(value, info.unit if info else "")
    place = describe_value(column, value, label, context, speaks_for=phi > 0)
    if value_text == "not defined":
        place = "the training median stands in for it"
    brackets = f" ({place})" if place else ""
    verb = "speaks for" if phi > 0 else "speaks against"
    meaning = f" {info.meaning}" if info and _needs_meaning(info) else ""
    sentence = f"{name} {value_text}{brackets} {verb} {class_name(label)}.{meaning}"
    return Reason(column, name, value_text, phi, sentence)


def _needs_meaning(info: ColumnInfo) -> bool:
    """Texture names mean little to a clinician; the clinical columns' names speak for themselves."""
    return info.ibsi_code is not None or "__" in info.column


def _against_reference(value: float, known: ReferenceRange, unit: str, sex: str | None) -> str:
    word = "low" if value < known.low else "high" if value > known.high else "within"
    who = f" for {_SEX[sex]}" if sex in _SEX else ""
    low = format_value(known.low, unit).removesuffix(f" {unit}")
    interval = f"reference {low} to {format_value(known.high, unit)}{who}"
    return f"within {interval}" if word == "within" else f"{word}; {interval}"


def _against_training(value: float, by_class: Mapping[str, Sequence[float]], label: str, *, speaks_for: bool) -> str:
    wanted = [v for c, vs in by_class.items() if (c != label) == speaks_for for v in vs]
    others = np.asarray([v for v in wanted if v is not None and math.isfinite(v)], dtype=float)
    if not others.size:
        return ""
    below, above = float((others < value).mean()), float((others > value).mean())
    if max(below, above) < TELLING:
        return ""
    word, share = ("above", below) if below >= above else ("below", above)
    amount = "all" if share == 1.0 else f"{math.floor(100 * share)} % of the"
    return f"{word} {amount} training patients {'without' if speaks_for else 'with'} this diagnosis"


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
