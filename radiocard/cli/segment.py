"""Masks from a network: radiocard segment train, predict, evaluate, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from radiocard.cli.cohorts import JsonOption
from radiocard.cli.console import OK, PARTIAL, counted, note, progress, say, say_issues, say_json
from radiocard.cli.segment_adopt import adopt
from radiocard.cli.segment_classify import classify
from radiocard.cli.segment_pretrain import pretrain

if TYPE_CHECKING:
    from radiocard.evaluation.intervals import Estimate
    from radiocard.segmentation.card import Epoch
    from radiocard.study.segment_evaluate import SegmentationEvidence

segment = typer.Typer(
    name="segment",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Masks from a network, and networks that see images alone. Extras: cnn (torch, MONAI), onnx (onnxruntime).",
)
segment.command()(adopt)
segment.command()(classify)
segment.command()(pretrain)
SegmentedArgument = Annotated[
    Path, typer.Argument(help="Cohort with masks: ACDC or M&Ms folder, or manifest CSV.", show_default=False)
]
NetworkOption = Annotated[Path, typer.Option("--network", help="Folder written by 'radiocard segment train'.")]
FolderOption = Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")]
BackendOption = Annotated[Literal["auto", "torch", "onnx"], typer.Option(help="What runs the network.")]
FastOption = Annotated[bool, typer.Option("--fast", help="Do not average over mirrored slices: a quarter of the time.")]


@segment.command()
def train(
    cohort: SegmentedArgument,
    output: FolderOption,
    recipe: Annotated[
        str,
        typer.Option(help="unet, residual_unet, attention_unet, dynunet, dynunet_3d, dynunet_cpu, or a YAML file."),
    ] = "dynunet",
    folds: Annotated[int, typer.Option(min=1, help="Networks; each leaves one fold of the patients out.")] = 5,
    fold: Annotated[int | None, typer.Option(help="Train only this one now, from 1.")] = None,
    initial: Annotated[Path | None, typer.Option(help="Start from this network's weights.")] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="The same bits each time; slower.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train networks on a cohort with masks; after an interruption, the same command goes on.

    \b
    radiocard segment train acdc/training -o network --recipe dynunet_cpu --folds 3
    radiocard segment train manifest.csv -o network --fold 2        one fold per machine
    """
    from radiocard.io.store import output_lock
    from radiocard.segmentation.networks import require_torch
    from radiocard.study.segment import train_networks

    require_torch()
    from radiocard.segmentation.train import best_device

    device = best_device()
    slow = "a GPU makes this many times faster" if device == "cpu" else "mixed precision"
    note(f"Training on {device}: {slow}. Weights are kept after every epoch.")
    name = "card.json" if fold is None else f"fold-{fold}.json"
    with output_lock(output / name):
        result = train_networks(
            cohort,
            output,
            recipe=recipe,
            folds=folds,
            only=fold,
            initial=initial,
            deterministic=deterministic,
            tell=_Teller(),
        )
    say_issues(result.issues)
    if as_json:
        card = None if result.card is None else result.card.model_dump(mode="json", by_alias=True)
        say_json({"folder": str(output), "missing": list(result.missing), "card": card})
        return
    if result.card is None:
        say(f"{output}: still to be trained: {', '.join(result.missing)}.")
        return
    say(f"{output}: network {result.card.short_id}, {len(result.card.members)} members.")
    for member in result.card.members:
        dice = ", ".join(f"{n} {d:.3f}" for n, d in member.validation_dice.items() if d is not None)
        say(f"  {member.name}: best epoch {member.best_epoch} of {len(member.history)}, validation Dice {dice}")
    say(f"Next: radiocard segment evaluate {cohort} --network {output} -o evidence")


@segment.command()
def predict(
    cohort: Annotated[
        Path,
        typer.Argument(help="ACDC or M&Ms folder, or a manifest CSV with patient_id and image.", show_default=False),
    ],
    network: NetworkOption,
    output: FolderOption,
    quality: Annotated[Path | None, typer.Option(help="Quality model; else quality.json of the network.")] = None,
    backend: BackendOption = "auto",
    fast: FastOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw masks; each is accepted, warned of, or left for a person to look at.

    \b
    radiocard segment predict new_patients/ --network network -o segmented
    radiocard extract segmented/manifest.csv -o table.parquet

    A manifest row without phase is a whole cine, one 4D file or one folder with a DICOM series: end-diastole
    and end-systole are found. Masks of a DICOM series are also written as DICOM segmentations (extra dicom).
    """
    from radiocard.io.store import output_lock
    from radiocard.io.unsegmented import read_unsegmented
    from radiocard.segmentation.backend import open_ensemble
    from radiocard.study import segment_predict as study
    from radiocard.study.segment_dicom import write_dicom

    found, ensemble = read_unsegmented(cohort), open_ensemble(network, backend=backend, quality=quality)
    networks = counted(len(ensemble.networks), "network")
    note(f"{counted(len(found.cases), 'case')}, {networks}, run by {ensemble.backend}.")
    with output_lock(output / "manifest.csv"):
        with progress("Segmenting", len(found.cases)) as step:
            result = study.segment(found, ensemble, flips=not fast, progress=step)
        manifest = study.write_segmentation(result, output)
        unwritten = write_dicom(result, output)
    if as_json:
        say_json({"manifest": str(manifest), "cases": [case.to_dict() for case in result.cases]})
    else:
        for case in result.cases:
            reason = next(
                (p.decision.reasons[0] for p in case.phases.values() if p.decision.verdict == case.verdict), ""
            )
            say(f"{case.patient_id:<20} {case.verdict:<8}{'' if case.verdict == 'accept' else reason}")
        say_issues([*result.issues, *(issue for case in result.cases for issue in case.issues), *unwritten])
        say(f"Next: radiocard extract {manifest} -o table.parquet")
    raise typer.Exit(PARTIAL if len(result.cases) < result.n_cases else OK)


@segment.command()
def evaluate(
    cohort: SegmentedArgument,
    network: NetworkOption,
    output: FolderOption,
    backend: BackendOption = "auto",
    fast: FastOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare masks with those of a reader: Dice, surface distance, volumes, ejection fraction.

    \b
    radiocard segment evaluate acdc/training --network network -o evidence

    Each patient is segmented by networks that never saw the patient.
    """
    from radiocard.io.store import output_lock
    from radiocard.segmentation.backend import open_ensemble
    from radiocard.study import segment_evaluate as study
    from radiocard.study.extract import as_cohort

    found, ensemble = as_cohort(cohort), open_ensemble(network, backend=backend)
    with output_lock(output / "manifest.csv"):
        with progress("Segmenting", len(found.cases)) as step:
            evidence = study.evaluate_segmentation(found, ensemble, flips=not fast, progress=step)
        paths = study.write_evidence(evidence, output)
    if as_json:
        say_json(study.evidence_dict(evidence) | {"files": [str(path) for path in paths]})
    else:
        _say_evidence(evidence)
        say_issues([*evidence.masks.issues, *(i for case in evidence.masks.cases for i in case.issues)])
        say(f"Written: {', '.join(str(path) for path in paths)}")
    raise typer.Exit(PARTIAL if len(evidence.patients) < evidence.masks.n_cases else OK)


@segment.command()
def quality(cohort: SegmentedArgument, network: NetworkOption, as_json: JsonOption = False) -> None:
    """Learn when a person should look at the masks, on the training cohort.

    \b
    radiocard segment quality acdc/training --network network

    Images are made worse in several ways; each patient is segmented by networks that never saw the patient.
    """
    from radiocard.io.store import output_lock
    from radiocard.study import segment_quality as study
    from radiocard.study.extract import as_cohort

    found = as_cohort(cohort)
    with output_lock(network / "quality.json"), progress("Segmenting", len(found.cases)) as step:
        model, issues = study.learn_quality(found, network, progress=step)
    say_issues(issues)
    facts = model.training
    if as_json:
        say_json({"file": str(network / "quality.json"), "training": facts.model_dump(mode="json")})
        return
    say(f"{network / 'quality.json'}: {facts.n_poor} of {facts.n_masks} masks are poor: Dice below {facts.dice_limit}.")
    rates = f"{facts.ask_false_alarms:.0%} ask, {facts.warn_false_alarms:.0%} warn"
    say(f"AUROC {facts.auroc:.2f} on patients left out; false alarms: {rates}.")


@segment.command()
def export(
    network: Annotated[Path, typer.Argument(help="Folder written by 'radiocard segment train'.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Write the networks as ONNX beside their weights: to be run by onnxruntime, without torch.

    \b
    radiocard segment export network
    """
    from radiocard.io.store import output_lock
    from radiocard.segmentation.networks import require_torch

    require_torch("Exporting a network")
    from radiocard.segmentation.export import export_onnx

    with output_lock(network / "card.json"):
        found = export_onnx(network)
    names = [member.files["onnx"][0] for member in found.card.members]
    if as_json:
        say_json({"files": names, "largest_difference": found.largest_difference})
        return
    say(f"Written: {', '.join(names)}. Logits differ from torch by {found.largest_difference:.1e} at most.")


class _Teller:
    """Says how a training goes: one line per epoch, with the time that is left."""

    def __init__(self) -> None:
        self.done: dict[str, list[float]] = {}

    def __call__(self, name: str, epochs: int, epoch: Epoch) -> None:
        seconds = self.done.setdefault(name, [])
        seconds.append(epoch.seconds)
        left = (epochs - len(seconds)) * sum(seconds) / len(seconds) / 60
        note(
            f"{name}: epoch {len(seconds)} of {epochs}, loss {epoch.loss:.3f}, "
            f"validation Dice {epoch.dice:.3f}, at most {left:.0f} min left"
        )


def _say_evidence(evidence: SegmentationEvidence) -> None:
    summary = evidence.summary
    say(f"{counted(summary.n_patients, 'patient')}, {evidence.n_independent} with different images.")
    say(f"  {'':<24}{'Dice':<26}HD95 [mm]")
    for name, spread in summary.dice.items():
        dice, far = _with_interval(spread.mean, 3), _with_interval(summary.hd95_mm[name].mean, 1)
        say(f"  {name:<24}{dice:<26}{far}")
    say(f"  {'':<24}{'bias':<26}{'limits of agreement':<26}mean absolute error")
    for column, found in summary.measures.items():
        bias, limits = _number(found.bias, 1), f"{_number(found.lower, 1)} to {_number(found.upper, 1)}"
        say(f"  {column:<24}{bias:<26}{limits:<26}{_number(found.mae, 1)}")


def _with_interval(estimate: Estimate, decimals: int) -> str:
    if estimate.low is None or estimate.high is None:
        return _number(estimate, decimals)
    return f"{_number(estimate, decimals)} ({estimate.low:.{decimals}f} to {estimate.high:.{decimals}f})"


def _number(estimate: Estimate, decimals: int) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.{decimals}f}"
