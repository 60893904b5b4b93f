import numpy as np
import pytest

from radiocard.segmentation.backend import demo_network, open_ensemble
from radiocard.segmentation.card import read_card


def test_the_demo_network_is_small_and_knows_simulated_hearts_alone():
    folder = demo_network()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    card = read_card(folder)
    assert card.simulated
    assert {*card.members[0].files} == {"safetensors", "onnx"}
    assert not any(b"site-packages" in path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_it_draws_a_simulated_heart_that_it_never_saw(backend):
    pytest.importorskip({"onnx": "onnxruntime", "torch": "monai"}[backend], reason="not run: needs an extra")
    from radiocard.segmentation.overlap import compare_masks
    from radiocard.simulate.cohort import simulate_patient
    from radiocard.study.segment_evaluate import reader_mask, segment_case

    case = simulate_patient("DCM", 0, seed=404).case
    found = segment_case(case, open_ensemble(demo_network(), backend=backend), flips=False)
    for phase, segmented in found.phases.items():
        overlaps = compare_masks(segmented.mask, reader_mask(case, phase), case="a")
        assert min(overlap.dice for overlap in overlaps.values()) > 0.8


def test_both_ways_to_run_it_draw_the_same_masks():
    pytest.importorskip("onnxruntime", reason="not run: needs the extra onnx")
    pytest.importorskip("monai", reason="not run: needs the extra cnn")
    from radiocard.simulate.cohort import simulate_patient
    from radiocard.study.segment_evaluate import segment_case

    case = simulate_patient("HCM", 0, seed=404).case
    masks = [
        segment_case(case, open_ensemble(demo_network(), backend=backend), flips=True).phases["es"].mask.array
        for backend in ("torch", "onnx")
    ]
    for code in (1, 2, 3):
        a, b = (mask == code for mask in masks)
        assert 2 * np.count_nonzero(a & b) / (a.sum() + b.sum()) > 0.999


@pytest.mark.slow
def test_the_demo_goes_from_images_to_reports(tmp_path):
    pytest.importorskip("onnxruntime", reason="not run: needs the extra onnx")
    from radiocard.study.demo import demo

    result = demo(tmp_path, segment=True)
    assert "Masks by the network net-" in result.lines[0]
    page = result.patient_reports["sure"].read_text()
    assert "accepted by its quality estimate" in page or "quality estimate warns" in page
    assert "segmentation network" in page
