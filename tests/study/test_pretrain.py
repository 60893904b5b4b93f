import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from dataclasses import replace  # noqa: E402

from typer import Typer  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from radiocard.cli.segment_pretrain import pretrain as command  # noqa: E402
from radiocard.errors import NothingUsableError  # noqa: E402
from radiocard.io.cohort import write_manifest_cohort  # noqa: E402
from radiocard.io.unsegmented import read_unsegmented  # noqa: E402
from radiocard.models.identity import hash_image  # noqa: E402
from radiocard.segmentation.initial import read_initial  # noqa: E402
from radiocard.specs import read_network  # noqa: E402
from radiocard.study.pretrain import pretrain, read_stacks  # noqa: E402
from radiocard.study.segment import train_networks  # noqa: E402


@pytest.fixture(scope="module")
def recipe():
    torch.set_num_threads(1)
    shipped = read_network("unet")
    grid = shipped.grid.model_copy(update={"size_px": 32, "spacing_mm": 4.0})
    plan = shipped.training.model_copy(update={"epochs": 1, "batch_size": 8, "validation": 0.34})
    return shipped.model_copy(update={"channels": (4, 8, 16), "grid": grid, "training": plan})


@pytest.fixture(scope="module")
def cohort(level_cases, tmp_path_factory):
    cases = [replace(case, clinical={}) for case in level_cases]
    return write_manifest_cohort(cases, tmp_path_factory.mktemp("unlabelled"))


def test_every_frame_of_every_case_is_a_stack_with_its_hash(cohort, level_cases, recipe):
    stacks, seen, issues = read_stacks(read_unsegmented(cohort), recipe)
    assert len(stacks) == 2 * len(level_cases)
    assert all(stack.shape[1:] == (32, 32) for stack in stacks)
    assert seen == {hash_image(image.digest()) for case in level_cases for image in case.images.values()}
    assert issues == []


def test_nothing_usable_is_said(cohort, recipe, tmp_path):
    found = read_unsegmented(cohort)
    bare = replace(found, cases=tuple(replace(ref, files={}) for ref in found.cases))
    with pytest.raises(NothingUsableError, match="None of 3 cases"):
        pretrain(bare, tmp_path, recipe=recipe)


def test_a_training_starts_from_it_and_knows_its_patients(cohort, recipe, tmp_path):
    told = []
    found = pretrain(cohort, tmp_path / "pre", recipe=recipe, epochs=2, tell=lambda *n: told.append(n[:2]))
    assert told == [(1, 2), (2, 2)]
    assert found.card.n_images == 6
    start = read_initial(tmp_path / "pre")
    trained = train_networks(cohort, tmp_path / "net", recipe=recipe, folds=3, only=1, initial=tmp_path / "pre")
    assert trained.missing == ("fold-2", "fold-3")
    again = train_networks(cohort, tmp_path / "net", recipe=recipe, folds=3, initial=tmp_path / "pre")
    members = again.card.members
    assert {m.initial for m in members} == {start.initial_id}
    assert all(set(found.card.seen) <= set(m.trained_on) for m in members)
    bare = train_networks(cohort, tmp_path / "bare", recipe=recipe, folds=3)
    assert all(not set(found.card.seen) <= set(m.trained_on) for m in bare.card.members)


def test_the_command_says_how_well_it_fills_in(cohort, tmp_path):
    app = Typer()
    app.command()(command)
    small = tmp_path / "small.yaml"
    text = "schema: radiocard/network/1\nname: small\ntitle: Small\narchitecture: unet\ndimensions: 2\n"
    text += "channels: [4, 8, 16]\ndeep_supervision: 0\ndropout: 0.0\n"
    text += "grid: {spacing_mm: 4.0, size_px: 32, percentiles: [0.5, 99.5]}\n"
    text += "augmentation: {probability: 0.0, rotation_deg: 0.0, scale: 0.0, shift_px: 0.0, flips: false, gamma: 1.0, "
    text += "bias_field: 0.0, blur_px: 0.0, noise: 0.0, motion_px: 0.0}\n"
    text += "training: {epochs: 1, batch_size: 8, learning_rate: 0.001, weight_decay: 0.0, warmup_epochs: 0, "
    text += "validation: 0.3, patience: 1, random_state: 0}\n"
    small.write_text(text)
    result = CliRunner().invoke(app, [str(cohort), "-o", str(tmp_path / "out"), "--recipe", str(small)])
    assert result.exit_code == 0, result.output
    assert "6 images, 1 passes." in result.output
    assert (tmp_path / "out" / "pretraining.json").is_file()
