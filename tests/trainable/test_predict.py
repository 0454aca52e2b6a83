"""A picture on disk is judged exactly as the same pixels in a batch are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.decoding import read_upright
from trainable.exported_config import ExportedConfig, write_exported_config
from trainable.models.classifier import Classifier
from trainable.predict import main, trained_model
from trainable.tasks.registry import get_task


@pytest.fixture
def handed_over(tmp_path):
    """A configuration of dishes and the weights of a network that was never trained."""
    config = get_task("dishes").default_config()
    torch.manual_seed(0)
    torch.save(Classifier(config.model).state_dict(), tmp_path / "weights.pt")
    write_exported_config(tmp_path / "config.json", ExportedConfig(config=config, data_fingerprint={}))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "plate.png")
    return config, pixels


def test_probabilities_are_those_of_the_network_on_the_same_pixels(handed_over, tmp_path):
    config, pixels = handed_over
    model = trained_model(config, tmp_path / "weights.pt")
    shares = get_task("dishes").predictor(config)(model, read_upright(tmp_path / "plate.png"))
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


@pytest.fixture
def segmenting(tmp_path):
    """A configuration of moe, the weights of a network that was never trained, and two photographs in a folder."""
    config = replace(get_task("moe").default_config(), trained_size_px=(48, 64))
    torch.manual_seed(0)
    torch.save(get_task("moe").build_model(config).state_dict(), tmp_path / "weights.pt")
    write_exported_config(tmp_path / "config.json", ExportedConfig(config=config, data_fingerprint={}))
    (tmp_path / "photographs").mkdir()
    generator = np.random.default_rng(0)
    for name, size in {"one.png": (48, 64), "two.png": (90, 50)}.items():
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photographs" / name)
    return config


def test_a_mask_is_what_the_evaluation_judges_of_the_picture_and_has_its_size(segmenting, tmp_path, caplog):
    caplog.set_level("INFO", "trainable")
    folder, output = tmp_path / "photographs", tmp_path / "new" / "masks"
    assert main(["--config", str(tmp_path / "config.json"), "--image", str(folder), "--output", str(output)]) == 0
    assert f"{folder / 'one.png'}: {output / 'one.png'}" in caplog.text
    masks = {name: np.asarray(Image.open(output / f"{name}.png")) for name in ("one", "two")}
    assert {name: (mask.dtype, mask.shape) for name, mask in masks.items()} == {
        "one": (np.uint8, (48, 64)),
        "two": (np.uint8, (90, 50)),
    }
    np.testing.assert_allclose(masks["one"], 255 * evaluated(segmenting, folder / "one.png", tmp_path), atol=0.51)
    assert masks["one"].std() > 1


def evaluated(config, path, folder) -> np.ndarray:
    """The probabilities that a search's validation gets for a picture of the size that was trained on."""
    pixels = np.asarray(Image.open(path))[None]
    data = ImageMaskSet.of_arrays(pixels, np.zeros(pixels.shape[:3], np.uint8), ["one"])
    task, model = get_task("moe"), trained_model(config, folder / "weights.pt")
    (batch,) = task.evaluation_batches(config, data, torch.device("cpu"))
    with torch.no_grad():
        return task.build_supervision(config).judged(model, *batch).scores[0, 0].numpy()


def test_no_mask_overwrites_a_picture_or_another_mask(segmenting, tmp_path, caplog):
    folder = tmp_path / "photographs"
    before = (folder / "one.png").read_bytes()
    arguments = ["--config", str(tmp_path / "config.json"), "--image", str(folder)]
    assert main([*arguments, "--output", str(folder)]) == 2
    assert "would overwrite the image" in caplog.text
    Image.open(folder / "one.png").save(tmp_path / "one.jpg")
    assert main([*arguments, str(tmp_path / "one.jpg"), "--output", str(tmp_path / "masks")]) == 2
    assert f"The mask of {tmp_path / 'one.jpg'} has the same name as another" in caplog.text
    assert (folder / "one.png").read_bytes() == before
    assert not (tmp_path / "masks").exists()


def test_a_place_for_masks_is_refused_where_there_are_classes(handed_over, tmp_path, caplog):
    arguments = ["--config", str(tmp_path / "config.json"), "--image", str(tmp_path / "plate.png")]
    assert main([*arguments, "--output", str(tmp_path / "masks")]) == 2
    assert "--output is for masks" in caplog.text


def test_a_folder_without_pictures_is_told(segmenting, tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    assert main(["--config", str(tmp_path / "config.json"), "--image", str(tmp_path / "empty")]) == 2
    assert "empty holds no images" in caplog.text


def test_a_picture_that_is_not_there_is_told_before_any_is_judged(segmenting, tmp_path, caplog):
    assert main(["--config", str(tmp_path / "config.json"), "--image", str(tmp_path / "gone.png")]) == 2
    assert "gone.png does not exist; give images, or folders of images." in caplog.text


def test_a_workload_of_neither_classes_nor_masks_says_how_its_network_is_loaded():
    task = get_task("retina")
    with pytest.raises(ValueError, match=r'get_task\("retina"\).build_model'):
        task.predictor(task.default_config())
