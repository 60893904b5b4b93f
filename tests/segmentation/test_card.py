import hashlib
import json

import pytest

from radiocard.errors import ModelError, UsageError
from radiocard.segmentation import card as module
from radiocard.segmentation.backend import open_ensemble
from radiocard.segmentation.card import read_card, read_weights, write_card


@pytest.fixture
def card(level_ensemble):
    return level_ensemble.card


def test_a_card_comes_back_as_it_was(card, tmp_path):
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card


def test_the_name_of_an_ensemble_depends_on_recipe_and_weights_alone(card):
    first, second = card.members
    changed = first.model_copy(update={"files": {"safetensors": ("fold-1.safetensors", "1" * 64)}})
    assert card.model_copy(update={"members": (changed, second)}).network_id != card.network_id
    assert card.model_copy(update={"versions": {"torch": "9"}}).network_id == card.network_id
    onnx = first.model_copy(update={"files": {**first.files, "onnx": ("fold-1.onnx", "2" * 64)}})
    assert card.model_copy(update={"members": (onnx, second)}).network_id == card.network_id


def test_a_folder_without_card_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no card\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema="other/1"), "not the card of a network|schema"),
        (lambda c: c["members"][0]["files"].update(safetensors=["../x.safetensors", "0" * 64]), "files"),
        (lambda c: c["members"].clear(), "members"),
        (lambda c: c.update(more=1), "more"),
        (lambda c: c["recipe"]["grid"].update(size_px=10**9), "size_px"),
    ],
)
def test_a_card_that_was_changed_is_refused(card, tmp_path, change, message):
    content = card.model_dump(mode="json", by_alias=True)
    change(content)
    (tmp_path / "card.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        read_card(tmp_path)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{" * 100_000, "\0"])
def test_a_file_that_is_no_card_is_refused(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ModelError, match="not the card of a network"):
        read_card(tmp_path)


def test_a_card_of_gigabytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "card.json").write_text("{}")
    monkeypatch.setattr(module, "_MAX_CARD", 1)
    with pytest.raises(ModelError, match="has 2 bytes, expected at most 1"):
        read_card(tmp_path)


def test_weights_are_proved_by_their_hash(card, tmp_path, monkeypatch):
    data = b"weights"
    sha256 = hashlib.sha256(data).hexdigest()
    member = card.members[0].model_copy(update={"files": {"safetensors": ("a.safetensors", sha256)}})
    with pytest.raises(ModelError, match=r"'a\.safetensors' are missing"):
        read_weights(tmp_path, member, "safetensors")
    (tmp_path / "a.safetensors").write_bytes(data)
    assert read_weights(tmp_path, member, "safetensors") == data
    with pytest.raises(UsageError, match="fold-1 has no onnx file"):
        read_weights(tmp_path, member, "onnx")
    (tmp_path / "a.safetensors").write_bytes(b"Weights")
    with pytest.raises(ModelError, match="their hash differs"):
        read_weights(tmp_path, member, "safetensors")
    monkeypatch.setattr(module, "_MAX_WEIGHTS", 3)
    with pytest.raises(ModelError, match="have 7 bytes, expected at most 3"):
        read_weights(tmp_path, member, "safetensors")


def test_a_backend_that_does_not_exist_is_refused(card, tmp_path):
    write_card(card, tmp_path)
    with pytest.raises(UsageError, match="'tensorflow' is not known; expected auto or torch or onnx"):
        open_ensemble(tmp_path, backend="tensorflow")
    with pytest.raises(UsageError, match="has no onnx file"):
        open_ensemble(tmp_path, backend="onnx")


def test_networks_that_learned_from_an_image_do_not_answer_for_it(level_ensemble):
    from dataclasses import replace

    first, second = level_ensemble.card.members
    knows = first.model_copy(update={"trained_on": ("a" * 64,)})
    ensemble = replace(level_ensemble, card=level_ensemble.card.model_copy(update={"members": (knows, second)}))
    assert ensemble.unseen(["a" * 64, "b" * 64]) == level_ensemble.networks[1:]
    assert ensemble.unseen(["b" * 64]) == level_ensemble.networks
