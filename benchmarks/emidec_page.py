"""The page of the EMIDEC validation."""

from __future__ import annotations

from typing import Any

DECLARED = "rf"

HEAD = """# Validation of scar on EMIDEC and on simulated hearts

{n} patients of EMIDEC (Lalande et al., Data 2020): {n_infarct} with infarct, {n_normal} normal; late gadolinium \
short-axis slices with a reader's masks. Figures only; no data. Made by `benchmarks/emidec.py`, which says how to run \
it. Intervals are 95 %, from 2000 resamples of patients, unless said otherwise.

These files are 8-bit, scaled slice by slice, resized to one matrix, and without spacing: shares of the myocardium can \
be compared, masses and half maxima (FWHM) cannot; those are measured on simulated hearts.

## Shares from the masks

(Infarct + no-reflow) / myocardium from the masks against inf/myo of the clinical table (inf includes no-reflow), \
infarct cases: correlation {correlation}, bias {bias} percentage points (n = {n_infarct}). Scar of ischaemic pattern \
(inner third included), median over the patients: {pattern} % of the scarred wall."""

BETWEEN = """## Automatic scar against the reader

One threshold per slice. Remote region: *sector*, the darkest 60 degrees of each slice, found automatically; \
*oracle*, all myocardium that the reader left healthy, which no method knows: a bound, not a result. Thresholds \
come from the wall without the pixel at both its edges. Otsu and the mixture call scar only what is \
hyperenhanced (mean of the brighter class beyond 5 SD of the sector) and of two kinds (bimodality coefficient \
above 5/9; BIC gain above 10). No constant was tuned on these patients; the rules were tried on simulated \
hearts. Dice and Bland-Altman (scar % found less drawn, percentage points) in the {n_infarct} infarct cases; \
scar % in the {n_normal} normal hearts, share without any with Wilson interval."""

MEANING = """\
What it says: no method reads these files as the reader does. Otsu stays silent in every normal heart and the \
mixture in most, at the price of infarcts, or slices of them, that they miss: where scar and remote myocardium \
touch in grey value, they see one tissue. n-SD finds some scar in nearly every normal heart, less the higher the \
number. Without a criterion, Otsu's method calls a third of normal myocardium scar. Limits of agreement are too \
wide to follow one patient. Which number of standard deviations agrees best depends on the remote region: a \
small dark sector has a small standard deviation, the whole healthy wall a large one. A reader's check of every \
contour stays necessary."""

FEATURES = """## Infarct against normal, from the whole myocardium

**AUC {auc}** ({model}, declared before the run; {n_columns} features of the whole myocardium, healthy, infarct and \
no-reflow merged, slices z-scored over cavity and myocardium; {design}). The reader's infarct is never an input."""

ONE_CENTRE = "One centre, and masks drawn by readers who saw the infarct: not evidence for another hospital."


def cell(e: dict[str, Any] | None, decimals: int = 1) -> str:
    """Write an estimate with its interval."""
    if e is None or e["value"] is None:
        return "–"
    if e["low"] is None or e["high"] is None:
        return f"{e['value']:.{decimals}f} (no interval)"
    return f"{e['value']:.{decimals}f} ({e['low']:.{decimals}f} to {e['high']:.{decimals}f})"


def methods_table(figures: dict[str, dict[str, Any]]) -> list[str]:
    """Return the methods as Markdown rows."""
    head = ("method, remote region", "Dice, median", "bias", "lower limit", "upper limit", "r", "infarcts without scar",
            "normal: scar %, median", "normal: quartiles", "normal: share without scar")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, f in figures.items():
        low, high = f["normal_scar_pct_quartiles"]
        lines.append(
            f"| {name} | {cell(f['dice_median'], 2)} | {cell(f['bias_points'])} | {cell(f['lower_limit_points'])} | "
            f"{cell(f['upper_limit_points'])} | {cell(f['correlation'], 2)} | {f['infarcts_without_scar']} of "
            f"{f['n_infarct']} | {cell(f['normal_scar_pct_median'])} | {low:.1f} to {high:.1f} | "
            f"{cell(f['normal_without_scar'], 2)} |"
        )
    return lines


def page(figures: dict[str, Any]) -> str:
    """Write the figures as a page."""
    masks, told = figures["volumes"], figures["discrimination"]
    declared = told["scores"][DECLARED]
    n, n_infarct = figures["n_patients"], figures["n_infarct"]
    known = {
        "n": n,
        "n_infarct": n_infarct,
        "n_normal": n - n_infarct,
        "correlation": cell(masks["correlation"], 4),
        "bias": cell(masks["bias_points"], 2),
        "pattern": cell(masks["ischaemic_pattern_pct"]),
        "auc": cell(declared["auc"], 3),
        "model": declared["title"],
        "n_columns": told["n_columns"],
        "design": told["design"].rstrip("."),
    }
    rows = [f"| {s['title']} | {cell(s['auc'], 3)} | {cell(s['accuracy'], 3)} |" for s in told["scores"].values()]
    chosen = ", ".join(f"`{c}` {k}" for c, k in list(told["chosen_columns"].items())[:6])
    return "\n\n".join(
        [
            HEAD.format(**known),
            BETWEEN.format(**known),
            "\n".join(methods_table(figures["methods"])),
            MEANING,
            FEATURES.format(**known),
            "\n".join(["| model | AUC | balanced accuracy |", "|---|---|---|", *rows]),
            f"Chosen most often: {chosen}.",
            ONE_CENTRE,
            "\n".join(simulated_lines(figures["simulated"])),
        ]
    )


def simulated_lines(made: dict[str, Any]) -> list[str]:
    """Write the simulated hearts as a section."""
    head = "| method | mass: bias, g | mass: median error, % | transmurality: bias, points | largest scar % in normal |"
    lines = [
        "## Simulated hearts: mass, FWHM, transmurality",
        "",
        f"{made['n_scarred']} hearts with scar of known mass and depth (subendocardial, 30 to 90 % deep, some with "
        f"no-reflow; mid-wall) and {made['n_normal']} without; 1.4 x 1.4 x 8 mm, Rician noise, partial volume, a "
        "border of 2 mm. One threshold per slice, unless said otherwise. Truth from the phantom's surfaces, not from a "
        "mask; intervals over hearts.",
        "",
        head,
        "|---|---|---|---|---|",
    ]
    for name, m in made["methods"].items():
        largest = "–" if m["normal_scar_pct_largest"] is None else f"{m['normal_scar_pct_largest']:.1f}"
        lines.append(
            f"| {name} | {cell(m['scar_mass_bias_g'])} | {cell(m['scar_mass_error_pct'])} | "
            f"{cell(m['transmurality_bias_points'])} | {largest} |"
        )
    note = (
        "The true mask shows what slices of 8 mm alone do. The true edge lies half-way between scar and remote "
        "myocardium, which is what FWHM looks for where remote myocardium is nulled: n-SD and the mixture count the "
        "border in. A threshold per slice is too low in the slices that scar fills only in part; one for the stack is "
        "not, but lets the apex, where slices hold blood as well, pass for scar in normal hearts."
    )
    return [*lines, "", note, ""]
