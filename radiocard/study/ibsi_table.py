"""The IBSI compliance table, as Markdown for the supplement of a paper."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from radiocard.study.ibsi import ConfigurationResult, IbsiResult, Reference, Verdict

_VERDICTS: tuple[Verdict, ...] = ("within", "outside", "missing", "no consensus")


def compliance_table(result: IbsiResult) -> str:
    """Return the compliance table.

    Parameters
    ----------
    result : IbsiResult
        From :func:`radiocard.study.ibsi.check`.

    Returns
    -------
    str
        Markdown: a summary, then per configuration its settings, counts per family, and every
        value that is outside the tolerance, missing or without consensus.
    """
    lines = [
        "# Agreement with the IBSI-1 reference values",
        "",
        f"radiocard {version('radiocard')}. Reference values and tolerances: Zwanenburg et al., Radiology 295 (2020),",
        "doi:10.1148/radiol.2020191145. A value agrees if, rounded to the significant digits of the reference (three",
        "at least), it differs from it by no more than the published tolerance.",
        "",
        "| configuration | values | within tolerance | outside | missing | no consensus |",
        "|---|---|---|---|---|---|",
        *(_summary(r) for r in result.configurations),
        "",
    ]
    for configuration in result.configurations:
        lines += _details(configuration)
    return "\n".join(lines)


def summary_lines(result: IbsiResult) -> list[str]:
    """Return one line per configuration, and what is outside or missing, as plain text."""
    lines = []
    for found in result.configurations:
        name = f"{found.configuration.name:<16}"
        if found.values is None:
            lines.append(f"{name}not run: no {found.configuration.phantom} with image and mask")
        elif not found.references:
            lines.append(f"{name}{len(found.values)} values, not compared: no {found.configuration.sheet}")
        else:
            lines.append(name + ", ".join(f"{found.count(verdict)} {verdict}" for verdict in _VERDICTS))
            lines += [
                f"  {verdict}: {reference.tag} is {value}, expected {reference.value} ± {reference.tolerance:g}"
                for reference, value, verdict in found.verdicts()
                if verdict in {"outside", "missing"}
            ]
    return lines


def _summary(result: ConfigurationResult) -> str:
    name = result.configuration.name
    if result.values is None:
        return f"| {name} | not run | | | | |"
    if not result.references:
        return f"| {name} | {len(result.values)} | not compared | | | |"
    counts = [result.count(verdict) for verdict in _VERDICTS]
    return f"| {name} | {sum(counts)} | {' | '.join(map(str, counts))} |"


def _details(result: ConfigurationResult) -> Iterator[str]:
    configuration = result.configuration
    yield f"## {configuration.name[:1].upper()}{configuration.name[1:]}"
    yield ""
    yield f"Settings: {configuration.settings}."
    yield ""
    if result.values is None:
        yield f"Not run: the data have no {configuration.phantom} with image and mask."
        yield ""
        return
    if not result.references:
        yield f"Not compared: there is no {configuration.sheet} among the reference values."
        yield ""
        return
    yield "| family | values | within tolerance | outside | missing | no consensus |"
    yield "|---|---|---|---|---|---|"
    rows = list(result.verdicts())
    for family in dict.fromkeys(reference.family for reference, _, _ in rows):
        found = [verdict for reference, _, verdict in rows if reference.family == family]
        yield f"| {family} | {len(found)} | {' | '.join(str(found.count(v)) for v in _VERDICTS)} |"
    yield ""
    for verdict, title in (("outside", "Outside the tolerance"), ("missing", "Missing")):
        yield from _listed([row for row in rows if row[2] == verdict], title)
    without = [reference.feature for reference, _, verdict in rows if verdict == "no consensus"]
    if without:
        yield f"Without consensus, not compared: {', '.join(without)}."
        yield ""


def _listed(rows: list[tuple[Reference, float | None, Verdict]], title: str) -> Iterator[str]:
    if not rows:
        return
    yield f"{title}:"
    yield ""
    yield "| family | feature | tag | reference | tolerance | consensus | radiocard |"
    yield "|---|---|---|---|---|---|---|"
    for reference, value, _ in rows:
        shown = "" if value is None else f"{value:.6g}"
        cells = (reference.family, reference.feature, f"`{reference.tag}`", reference.value)
        yield f"| {' | '.join(cells)} | {reference.tolerance:g} | {reference.consensus} | {shown} |"
    yield ""
