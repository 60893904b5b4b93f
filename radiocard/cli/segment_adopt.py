"""Masks of another program, checked and paired with their images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from radiocard.cli.console import OK, PARTIAL, say, say_issues, say_json

if TYPE_CHECKING:
    from radiocard.segmentation.adapters import MaskSource

Program = Literal["nnunet", "monai", "totalsegmentator", "stated"]
PATTERNS = {
    "monai": "{image}/{image}_trans.nii.gz",  # as the bundle's inference.json has MONAI save them
    "totalsegmentator": "{image}",
    "stated": "{image}.nii.gz",
}


def adopt(
    cohort: Annotated[
        Path,
        typer.Argument(help="Images: ACDC or M&Ms folder, or a manifest CSV with patient_id, image, phase."),
    ],
    masks: Annotated[Path, typer.Argument(help="Folder that the other program wrote.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for masks and manifest.")],
    by: Annotated[Program, typer.Option(help="The program; stated: any other, with --labels.")] = "nnunet",
    pattern: Annotated[
        str | None,
        typer.Option(
            help="File of one mask, or for totalsegmentator the folder with one file per structure; {patient}, "
            "{phase}, {image} stand for what they say. Without it, as the program names its files."
        ),
    ] = None,
    labels: Annotated[str, typer.Option(help="stated: acdc, mnms or lv_cavity=3;lv_myocardium=2;rv_cavity=1.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check masks that another program made, and pair them with their images.

    \b
    radiocard segment adopt acdc/testing nnunet_predictions --by nnunet -o adopted
    radiocard extract adopted/manifest.csv -o table.parquet
    """
    from radiocard.io.store import output_lock
    from radiocard.io.unsegmented import read_unsegmented
    from radiocard.segmentation.adopt import adopt_masks

    found = read_unsegmented(cohort)
    with output_lock(output / "manifest.csv"):
        adopted = adopt_masks(found.cases, _source(by, masks, pattern, labels), output)
    if as_json:
        issues = [issue.to_dict() for issue in adopted.issues]
        say_json({"manifest": str(adopted.manifest), "n_patients": adopted.n_patients, "issues": issues})
    else:
        say(f"{adopted.n_patients} of {len(found.cases)} patients have masks that can be used.")
        say_issues(adopted.issues)
        say(f"Next: radiocard extract {adopted.manifest} -o table.parquet")
    raise typer.Exit(PARTIAL if adopted.n_patients < len(found.cases) else OK)


def _source(by: Program, masks: Path, pattern: str | None, labels: str) -> MaskSource:
    from radiocard.errors import UsageError
    from radiocard.segmentation import adapters

    if (by == "stated") != bool(labels):
        msg = "--labels goes with --by stated, and with nothing else: the other programs state their own."
        raise UsageError(msg, field="labels")
    if by == "nnunet":
        if pattern is not None:
            msg = "--pattern does not go with --by nnunet: dataset.json says how its files end."
            raise UsageError(msg, field="pattern")
        return adapters.nnunet_masks(masks)
    used = pattern or PATTERNS[by]
    if by == "monai":
        return adapters.monai_masks(masks, pattern=used)
    if by == "totalsegmentator":
        return adapters.totalsegmentator_masks(masks, pattern=used, multilabel=used.endswith((".nii", ".nii.gz")))
    return adapters.stated_masks(masks, labels=labels, pattern=used)
