import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="not run: needs the extra cnn")
pytest.importorskip("onnxruntime", reason="not run: needs the extra onnx")

from radiocard.errors import MissingExtraError, ModelError  # noqa: E402
from radiocard.segmentation import export as module  # noqa: E402
from radiocard.segmentation.backend import open_ensemble  # noqa: E402
from radiocard.segmentation.card import NetworkMember, read_card, write_card  # noqa: E402
from radiocard.segmentation.networks import build_network  # noqa: E402
from radiocard.segmentation.weights import network_state, save_weights  # noqa: E402
from radiocard.specs import read_network  # noqa: E402


@pytest.fixture(params=["dynunet", "dynunet_3d", "attention_unet"])
def folder(request, tmp_path, level_ensemble):
    recipe = read_network(request.param)
    recipe = recipe.model_copy(
        update={
            "channels": (4, 8, 8),
            "deep_supervision": min(recipe.deep_supervision, 1),
            "grid": recipe.grid.model_copy(update={"size_px": 32}),
        }
    )
    torch.manual_seed(1)
    sha256 = save_weights(network_state(build_network(recipe)), tmp_path / "fold-1.safetensors")
    member = NetworkMember(
        **level_ensemble.card.members[0].model_dump() | {"files": {"safetensors": ("fold-1.safetensors", sha256)}}
    )
    write_card(level_ensemble.card.model_copy(update={"recipe": recipe, "members": (member,)}), tmp_path)
    return tmp_path


def test_onnxruntime_answers_as_torch_does(folder):
    before = read_card(folder)
    found = module.export_onnx(folder)
    assert found.largest_difference < 1e-3
    written = (folder / "fold-1.onnx").read_bytes()
    assert b".py" not in written  # the exporter notes the source line behind each operation
    assert str(folder).encode() not in written
    assert found.card.network_id == before.network_id
    stack = np.random.default_rng(0).normal(size=(7, 32, 32)).astype(np.float32)
    torch_, onnx = (open_ensemble(folder, backend=b).networks[0].logits(stack) for b in ("torch", "onnx"))
    np.testing.assert_allclose(torch_, onnx, atol=1e-4)
    assert open_ensemble(folder).backend == ("torch" if torch.cuda.is_available() else "onnx")


def test_an_export_that_answers_differently_is_not_named_in_the_card(folder, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST_DIFFERENCE", -1.0)
    before = read_card(folder)
    with pytest.raises(ModelError, match="answers differently"):
        module.export_onnx(folder)
    assert read_card(folder) == before


def test_without_onnxruntime_nothing_is_exported(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    before = read_card(folder)
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        module.export_onnx(folder)
    assert read_card(folder) == before
    assert not (folder / "fold-1.onnx").exists()


def test_an_onnx_file_that_cannot_be_run_is_refused(folder):
    import hashlib

    card = read_card(folder)
    (folder / "fold-1.onnx").write_bytes(b"not onnx")
    files = {**card.members[0].files, "onnx": ("fold-1.onnx", hashlib.sha256(b"not onnx").hexdigest())}
    write_card(card.model_copy(update={"members": (card.members[0].model_copy(update={"files": files}),)}), folder)
    with pytest.raises(ModelError, match="not an ONNX file that can be run"):
        open_ensemble(folder, backend="onnx")
