"""Commands on single maps: radiocard map fit, ecv, align, measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import OK, PARTIAL, note, require_suffix, say, say_json

if TYPE_CHECKING:
    from radiocard.image import LabelMap

maps = typer.Typer(
    name="map",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Fit, align and measure T1, T2, T2* and ECV maps, one by one.",
)
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="Map to write: .nii.gz or .nii.")]
MaskOption = Annotated[Path, typer.Option("--mask", help="Label map on the grid of the (fixed) map.")]
LabelsOption = Annotated[
    str, typer.Option("--labels", help="What its numbers mean: lv_cavity=3;lv_myocardium=2;rv_cavity=1.")
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", help="ms, s, 0.1ms, pct or fraction; else the values must prove ms or %.")
]
SEGMENTS = 16
NIFTI = (".nii.gz", ".nii")


@maps.command()
def fit(
    series: Annotated[Path, typer.Argument(help="4D NIfTI, or DICOM (file or folder).", show_default=False)],
    output: OutputOption,
    method: Annotated[
        str,
        typer.Option(help="molli, sasha-2, sasha-3, t2-prepared, t2-prepared-offset, spin-echo, t2-star."),
    ],
    times_ms: Annotated[str | None, typer.Option("--times-ms", help="One time per image, separated by commas.")] = None,
    sidecar: Annotated[Path | None, typer.Option(help="BIDS JSON with InversionTime or EchoTime [s].")] = None,
    min_signal: Annotated[float, typer.Option(help="Darker pixels are not fitted.")] = 0.0,
    noise_sd: Annotated[float | None, typer.Option(help="t2-star: noise in air, to cut echoes off.")] = None,
    align: Annotated[bool, typer.Option("--align", help="Align the frames to the last one first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a map to a raw series; residual and reasons are written beside it.

    \b
    radiocard map fit molli.nii.gz --method molli --times-ms 100,180,1000,1080,1900 -o t1.nii.gz
    radiocard map fit dicom_folder --method t2-star -o t2star.nii.gz
    """
    from radiocard.study import maps as study

    require_suffix(output, *NIFTI)
    found = study.fit_map(
        series,
        method=method,
        times_ms=_numbers(times_ms),
        sidecar=sidecar,
        min_signal=min_signal,
        noise_sd=noise_sd,
        align=align,
    )
    paths = study.write_fitted(found, output)
    for text in found.notes:
        note(f"not aligned  {text}")
    if as_json:
        facts = {"trusted_pct": found.trusted_pct, "not_trusted": found.counts, "times_ms": list(found.times_ms)}
        say_json({"files": [str(path) for path in paths], **facts, "not_aligned": list(found.notes)})
        return
    say(f"{found.trusted_pct:.1f} % of the fitted pixels are trusted.")
    for words, n in found.counts.items():
        say(f"  {n:>8} pixels: {words}")
    for path in paths:
        say(f"Written: {path}")


@maps.command()
def ecv(
    native: Annotated[Path, typer.Argument(help="Native T1 map.", show_default=False)],
    post: Annotated[Path, typer.Argument(help="Post-contrast T1 map.", show_default=False)],
    mask: MaskOption,
    labels: LabelsOption,
    haematocrit_pct: Annotated[float, typer.Option("--haematocrit-pct", help="Measured in blood [%].")],
    output: OutputOption,
    unit: UnitOption = None,
    align: Annotated[bool, typer.Option(help="Align the post-contrast map to the native one first.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Compute an ECV map from T1 maps before and after contrast agent.

    \b
    radiocard map ecv t1.nii.gz t1_post.nii.gz --mask mask.nii.gz --labels "lv_cavity=3;lv_myocardium=2;rv_cavity=1" --haematocrit-pct 42 -o ecv.nii.gz
    """  # noqa: E501
    from radiocard.io.map_files import write_map
    from radiocard.study import maps as study

    require_suffix(output, *NIFTI)
    regions, blood_cells = _mask(mask, labels), study.haematocrit_of_pct(haematocrit_pct)
    image, found = study.ecv_from_maps(native, post, regions, haematocrit=blood_cells, unit=unit, align=align)
    write_map(image, output)
    blood = {"native_ms": found.blood.native_ms, "post_ms": found.blood.post_ms}
    if as_json:
        say_json({"files": [str(output)], "blood": blood, "haematocrit_pct": haematocrit_pct})
        return
    say(f"Blood: native T1 {blood['native_ms']:.0f} ms, post-contrast {blood['post_ms']:.0f} ms.")
    say(f"Written: {output}")


@maps.command()
def align(
    fixed: Annotated[Path, typer.Argument(help="Image that stays.", show_default=False)],
    moving: Annotated[Path, typer.Argument(help="Image that is moved.", show_default=False)],
    output: OutputOption,
    contrast: Annotated[str, typer.Option(help="same or different grey values for the same tissue.")] = "different",
    mask: Annotated[Path | None, typer.Option("--mask", help="Label map of the heart on the fixed grid.")] = None,
    labels: Annotated[str, typer.Option("--labels", help="What its numbers mean.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Align one image to another; where that fails, nothing is written and the exit code is 3.

    \b
    radiocard map align t1.nii.gz t2.nii.gz -o t2_on_t1.nii.gz
    """
    from radiocard.io.map_files import write_map
    from radiocard.study import maps as study

    require_suffix(output, *NIFTI)
    heart = None if mask is None else _mask(mask, labels)
    found = study.align_maps(fixed, moving, contrast=contrast, mask=heart)
    if found.succeeded:
        write_map(found.moved, output)
    if as_json:
        say_json({"succeeded": found.succeeded, "reasons": list(found.reasons)})
    elif found.succeeded:
        say(f"Written: {output}")
    for reason in [] if as_json else found.reasons:
        say(f"not aligned  {reason}")
    raise typer.Exit(OK if found.succeeded else PARTIAL)


@maps.command()
def measure(
    image: Annotated[Path, typer.Argument(help="Map, NIfTI or DICOM.", show_default=False)],
    sequence: Annotated[str, typer.Option(help="t1_native, t1_post, t2, t2_star or ecv.")],
    mask: MaskOption,
    labels: LabelsOption,
    unit: UnitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a map: global, septal, and the AHA segments.

    \b
    radiocard map measure t1.nii.gz --sequence t1_native --mask mask.nii.gz --labels "lv_cavity=3;lv_myocardium=2;rv_cavity=1"
    """  # noqa: E501
    from radiocard.study import maps as study

    found, issues = study.measure_map(image, _mask(mask, labels), sequence=sequence, unit=unit)
    rows = study.named_values(found.values)
    if as_json:
        say_json({"values": rows, "issues": [issue.to_dict() for issue in issues]})
        return
    for row in rows:
        if "_aha_" not in row["column"] and row["value"] is not None:
            say(f"{row['name']:<44}{row['value']:9.1f} {row['unit']}")
    tag = rows[0]["unit"]
    say()
    say(f"Segment      mean [{tag}]     SD     pixels")
    ending = "pct" if tag == "%" else tag
    for n in range(1, SEGMENTS + 1):
        mean, sd = (found.values.get(f"{sequence}_{part}aha_{n:02d}_{ending}") for part in ("", "sd_"))
        if mean is not None and sd is not None:
            say(f"{n:>7} {mean:>14.1f} {sd:>9.1f} {found.values[f'{sequence}_n_aha_{n:02d}'] or 0:>8.0f}")
    for issue in issues:
        say(f"  {issue.severity}  {issue}")


def _mask(path: Path, labels: str) -> LabelMap:
    from radiocard.study import maps as study

    return study.read_mask(path, labels)


def _numbers(text: str | None) -> list[float] | None:
    from radiocard.errors import UsageError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        msg = f"--times-ms is {text!r}, expected numbers separated by commas."
        raise UsageError(msg, field="times_ms") from None
