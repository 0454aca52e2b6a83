"""A picture on disk is judged exactly as the same pixels in a batch are."""

import numpy as np
import pytest
import torch
from PIL import Image

from trainable.handover import Handover, write_handover
from trainable.models.classifier import Classifier
from trainable.predict import main, predict, trained_model
from trainable.tasks.registry import get_task


@pytest.fixture
def handed_over(tmp_path):
    """A configuration of dishes and the weights of a network that was never trained."""
    config = get_task("dishes").default_config()
    torch.manual_seed(0)
    torch.save(Classifier(config.model).state_dict(), tmp_path / "weights.pt")
    write_handover(tmp_path / "config.json", Handover(config=config, data_fingerprint={}))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "plate.png")
    return config, pixels


def test_probabilities_are_those_of_the_network_on_the_same_pixels(handed_over, tmp_path):
    config, pixels = handed_over
    model = trained_model(config, tmp_path / "weights.pt")
    shares = predict(config, model, tmp_path / "plate.png")
    with torch.no_grad():
        logits = model(torch.tensor(pixels).permute(2, 0, 1)[None] / 255).predictions[0]
    assert list(shares) == [config.model.class_names[place] for place in logits.argsort(descending=True)]
    assert [shares[name] for name in config.model.class_names] == pytest.approx(logits.softmax(0).tolist(), abs=1e-6)


def test_the_command_judges_what_it_can_read_and_names_the_rest(handed_over, tmp_path, caplog):
    caplog.set_level("INFO", "trainable")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    arguments = ["--config", str(tmp_path / "config.json"), "--image"]
    assert main([*arguments, str(tmp_path / "plate.png")]) == 0
    assert main([*arguments, str(tmp_path / "broken.jpg"), str(tmp_path / "plate.png")]) == 1
    assert "broken.jpg: is not an image in a known format" in caplog.text
    assert caplog.text.count("plate.png: ") == 2


def test_weights_of_another_network_are_refused(handed_over, tmp_path, caplog):
    torch.save({"head.weight": torch.zeros(2, 48)}, tmp_path / "other.pt")
    arguments = ["--config", str(tmp_path / "config.json"), "--weights", str(tmp_path / "other.pt")]
    assert main([*arguments, "--image", str(tmp_path / "plate.png")]) == 2
    assert "does not hold the weights of this configuration" in caplog.text


def test_a_workload_that_does_not_classify_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="moe does not give a picture one class"):
        trained_model(get_task("moe").default_config(), tmp_path / "weights.pt")
