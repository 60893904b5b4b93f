"""The words of ``reports/validation/maps.md``; the figures come from ``maps.py``."""

from __future__ import annotations

from typing import Any

Figures = dict[str, Any]


def page(figures: Figures) -> str:
    """Write the figures as a page."""
    lines = [
        "# T1, T2, T2* and ECV from raw series",
        "",
        "Figures only; no data. Made by `benchmarks/maps.py`, which says how to run it.",
        "",
        *phantom_lines(figures["phantom"]),
        *own_model_lines(figures["noise_free"], figures["setup"]),
        *noisy_lines(figures["noisy"], figures["setup"]),
        *floor_lines(figures["noise_floor"], figures["setup"]),
        *septum_lines(figures["septum"], figures["setup"]),
        *agreement_lines(figures["agreement"], figures["setup"]),
        "## ECV",
        "",
        f"Closed form (contrast agent adds relaxivity x concentration x volume to each rate): largest relative error "
        f"{figures['ecv']['max_relative_error']:.1e} over {figures['ecv']['n']} combinations of ECV (15 to 70 %) and "
        "haematocrit (0.2 to 0.6).",
        "",
        *timing_lines(figures["timing"], figures["machine"]),
    ]
    return "\n".join(lines)


def phantom_lines(found: Figures) -> list[str]:
    """Describe the comparison on the phantom."""
    low, high = found["iqr_abs_pct"]
    return [
        "## A vial phantom, against the map that others fitted",
        "",
        "One MOLLI slice, five images. Fit against fit: neither map is the truth. There is no mask of the vials; "
        "pixels are compared whose largest signal is above a quarter of the slice's maximum and whose supplied T1 "
        "lies between 0.1 and 3.5 s. Pixels without a fit count as infinitely far.",
        "",
        f"**Median absolute difference {found['median_abs_pct']:.2f} %** (n = {found['n_pixels']} pixels; quartiles "
        f"{low:.2f} to {high:.2f} %, 95th percentile {found['p95_abs_pct']:.1f} %; signed median "
        f"{found['median_signed_pct']:+.2f} %; median T1 {found['median_t1_ms'][0]:.0f} ms against "
        f"{found['median_t1_ms'][1]:.0f} ms).",
        "",
        f"Without a fit: {found['n_without_fit']}. Not trusted by the quality mask: {found['n_not_trusted']}; among "
        f"the others, the 95th percentile is {found['p95_abs_pct_trusted']:.1f} %.",
        "",
    ]


def own_model_lines(found: Figures, setup: Figures) -> list[str]:
    """List the errors without noise."""
    return [
        "## Own model, no noise",
        "",
        f"MOLLI: `|A - B exp(-t / T1*)|`, `T1 = T1* (B/A - 1)`, B/A = {setup['ratio']}. That is the fit's own model; "
        "the balanced readout of a scanner adds a bias of several per cent, which no fit of this model can see.",
        "",
        "| fit | range [ms] | n | largest error [%] | not trusted |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {r['from_ms']} to {r['to_ms']} | {r['n']} | {r['max_error_pct']:.1e} | {r['n_not_trusted']} |"
            for name, r in found.items()
        ),
        "",
    ]


def cell(found: Figures) -> str:
    """Format bias, scatter and the share that is trusted."""
    if found["bias_pct"] is None:
        return f"none ({found['trusted_pct']:.0f})"
    return f"{found['bias_pct']:+.1f} ± {found['sd_pct']:.1f} ({found['trusted_pct']:.0f})"


def noisy_lines(found: dict[str, list[Figures]], setup: Figures) -> list[str]:
    """Show bias and scatter by T1 and T2."""
    lines = [
        "## With noise",
        "",
        f"Magnitudes of two noisy channels (Rician), {setup['n_noisy']} pixels each; SNR is the amplitude A over the "
        "noise of one channel. Bias ± standard deviation of the trusted pixels [% of the true value], and in brackets "
        "the share of pixels that is trusted [%]: at low SNR that choice itself shifts the mean.",
        "",
    ]
    for quantity in ("T1", "T2"):
        names = [name for name in found if name.startswith("T2") == (quantity == "T2")]
        heads = [f"{n}, SNR {snr}" for n in names for snr in setup["snr"]]
        lines += [f"| {quantity} [ms] | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for same in zip(*(found[n] for n in names), strict=True):
            cells = [cell(row[f"snr_{snr}"]) for row in same for snr in setup["snr"]]
            lines.append(f"| {same[0]['true_ms']} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def floor_lines(rows: list[Figures], setup: Figures) -> list[str]:
    """Show T2* with and without the late echoes."""
    heads = [f"SNR {snr}, {what}" for snr in setup["snr"] for what in ("all echoes", "truncated", "echoes left")]
    lines = [
        "## T2* and the noise floor",
        "",
        "Nine echoes, 2 to 18 ms. Truncated: echoes at which the fitted curve lies below three standard deviations of "
        "the noise are left out, three are always kept. Bias ± standard deviation [%] (trusted [%]); echoes left: "
        "median.",
        "",
        "| T2* [ms] | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for row in rows:
        cells = []
        for snr in setup["snr"]:
            cells += [cell(row[f"snr_{snr}_whole"]), cell(row[f"snr_{snr}_cut"]), f"{row[f'snr_{snr}_echoes']:g}"]
        lines.append(f"| {row['true_ms']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def septum_lines(rows: list[Figures], setup: Figures) -> list[str]:
    """Show T2* of the mean signal of a region."""
    heads = [f"SNR {snr}, {what}" for snr in setup["snr"] for what in ("all echoes", "truncated")]
    lines = [
        f"The same from the mean signal of {setup['n_pixels']} pixels, as for the septum: averaging takes away the "
        "scatter, not the floor.",
        "",
        "| T2* [ms] | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for row in rows:
        cells = [cell(row[f"snr_{snr}_{key}"]) for snr in setup["snr"] for key in ("whole", "cut")]
        lines.append(f"| {row['true_ms']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def agreement_lines(found: dict[str, Figures], setup: Figures) -> list[str]:
    """Show the comparison with scipy."""
    return [
        "## Against scipy.optimize.curve_fit",
        "",
        f"{setup['n_compared']} pixels, SNR 30; curve_fit starts from the truth and, for MOLLI, tries every polarity.",
        "",
        "| fit | largest difference [%] | within 0.01 % | without a value |",
        "|---|---|---|---|",
        *(
            f"| {name} | {r['max_difference_pct']:.1e} | {r['n_within_0.01_pct']} of {r['n']} | {r['n_missing']} |"
            for name, r in found.items()
        ),
        "",
    ]


def timing_lines(found: Figures, machine: str) -> list[str]:
    """Show the time per slice."""
    return [
        "## Time",
        "",
        f"Slice of 256 x 256 pixels, every pixel fitted, with residuals, standard errors and quality mask; {machine}, "
        "warm, five runs; processor time of one thread.",
        "",
        "| fit | images | best [s] | median [s] |",
        "|---|---|---|---|",
        *(f"| {name} | {r['images']} | {r['best']:.2f} | {r['median']:.2f} |" for name, r in found["slice_s"].items()),
        "",
        f"First call of a process: {found['first_call_compiling_s']:.1f} s of processor time if the kernel has to be "
        f"compiled, {found['first_call_compiled_s']:.2f} s once it is on disk (`radiocard warm`).",
        "",
    ]
