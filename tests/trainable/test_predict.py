"""A picture on disk is judged exactly as the same pixels are in the final test, for every workload."""

import csv
import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from trainable.config import from_params
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io import decoding
from trainable.data.io.decoding import read_upright
from trainable.data.io.findings import BadFileError
from trainable.predict import TrainedModel, load_trained_model, main
from trainable.tasks.registry import get_task
from trainable.workloads.exported_config import ExportedConfig, write_exported_config

CPU = torch.device("cpu")


def export(folder, workload, **params):
    """A configuration and the weights of a network that was never trained."""
    task = get_task(workload)
    config = from_params(params, task.default_config())
    if workload == "moe":
        config = replace(config, trained_size_px=(48, 64))
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(task.build_model(config).state_dict(), folder / "weights.pt")
    write_exported_config(folder / "config.json", ExportedConfig(config=config, data_fingerprint={}))
    return config


def save_picture(path, size, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def run(folder, *arguments, images="pictures"):
    given = ["--config", str(folder / "config.json"), "--image", str(folder / images), "--device", "cpu"]
    return main([*given, "--output", str(folder / "out"), *arguments])


def rows(folder):
    with (folder / "out" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@torch.no_grad()
def final_scores(config, folder, pixels, target):
    """Scores of an image as the final test computes them for its metrics."""
    task = get_task(config.workload)
    model = load_trained_model(config, folder / "weights.pt")
    images = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
    return task.test_supervision(task.build_supervision(config), config).evaluate(model, images, target).scores


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(("workload", "side_px"), [("dishes", 64), ("leaf", 48)])
def test_class_probabilities_are_those_of_the_final_test(tmp_path, workload, side_px, augmented):
    config = export(tmp_path, workload, test_time_augmentation=augmented)
    pixels = save_picture(tmp_path / "pictures" / "one.png", (side_px, side_px))
    assert run(tmp_path) == 0
    (row,) = rows(tmp_path)
    expected = dict(
        zip(
            config.model.class_names, final_scores(config, tmp_path, pixels, torch.tensor([0]))[0].tolist(), strict=True
        )
    )
    assert {name: float(row[f"probability_{name}"]) for name in expected} == pytest.approx(expected, abs=2e-6)
    assert row["class"] == max(expected, key=expected.get)
    assert float(row["probability"]) == pytest.approx(max(expected.values()), abs=2e-6)


@pytest.mark.parametrize("augmented", [False, True])
def test_grades_are_those_of_the_final_test_for_each_task(tmp_path, augmented):
    config = export(tmp_path, "retina", test_time_augmentation=augmented)
    pixels = save_picture(tmp_path / "pictures" / "one.png", (64, 64))
    assert run(tmp_path) == 0
    (row,) = rows(tmp_path)
    scores = final_scores(config, tmp_path, pixels, torch.zeros(1, 2, dtype=torch.int64))
    grades = {
        "retinopathy": ("none", "mild", "moderate", "severe", "proliferative"),
        "edema": ("none", "away", "central"),
    }
    for (task, names), own in zip(grades.items(), scores, strict=True):
        found = [float(row[f"{task}_probability_{name}"]) for name in names]
        assert found == pytest.approx(own[0].tolist(), abs=2e-6)
        assert row[task] == names[int(own[0].argmax())]


def test_photographs_are_cropped_to_the_retina_where_those_of_training_were(tmp_path):
    config = export(tmp_path, "retina")
    folder = replace(config, data=replace(config.data, source="photographs", image_size_px=64))
    model = load_trained_model(config, tmp_path / "weights.pt")
    photograph = np.zeros((100, 180, 3), np.uint8)
    rows, columns = np.mgrid[:100, :180]
    disc = (rows - 50) ** 2 + (columns - 80) ** 2 < 40**2
    photograph[disc] = np.random.default_rng(0).integers(90, 200, (int(disc.sum()), 3))
    moved = np.roll(photograph, 30, axis=1)
    predict = get_task("retina").predictor(folder)
    here, there = (predict(model, Image.fromarray(one)).row() for one in (photograph, moved))
    assert here == there


@pytest.mark.parametrize(
    ("workload", "least_px"), [("dishes", 64), ("leaf", 48), ("retina", 2 * 64), ("leaf_pretrain", 48)]
)
def test_a_large_jpeg_is_decoded_as_small_as_in_training(tmp_path, monkeypatch, workload, least_px):
    export(tmp_path, workload)
    model = TrainedModel.read(tmp_path, "cpu")
    assert model.predictor.least_px == least_px
    path = tmp_path / "one.jpg"
    Image.effect_noise((800, 640), 90).convert("RGB").save(path, quality=60)
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 1000)
    small = read_upright(path, least_px=least_px)
    assert small.size < (800, 640)
    assert str(model.predict(path)) == str(model.predict(small)) != str(model.predict(read_upright(path)))


@pytest.mark.parametrize("augmented", [False, True])
def test_a_mask_is_that_of_the_final_test_and_has_the_size_of_its_picture(tmp_path, augmented):
    config = export(tmp_path, "moe", test_time_augmentation=augmented)
    save_picture(tmp_path / "pictures" / "one.png", (48, 64))
    save_picture(tmp_path / "pictures" / "two.png", (90, 50))
    assert run(tmp_path) == 0
    masks = {name: np.asarray(Image.open(tmp_path / "out" / "masks" / f"{name}.png")) for name in ("one", "two")}
    assert {name: (mask.dtype, mask.shape) for name, mask in masks.items()} == {
        "one": (np.uint8, (48, 64)),
        "two": (np.uint8, (90, 50)),
    }
    expected = evaluated(config, tmp_path / "pictures" / "one.png", tmp_path)
    np.testing.assert_allclose(masks["one"], 255 * expected, atol=0.51)
    assert masks["one"].std() > 1
    assert float(rows(tmp_path)[0]["object_share"]) == pytest.approx((expected >= 0.5).mean(), abs=1e-6)


@torch.no_grad()
def evaluated(config, path, folder) -> np.ndarray:
    """The probabilities that a final test gets for a picture of the size that was trained on."""
    pixels = np.asarray(Image.open(path))[None]
    data = ImageMaskSet.of_arrays(pixels, np.zeros(pixels.shape[:3], np.uint8), ["one"])
    task, model = get_task("moe"), load_trained_model(config, folder / "weights.pt")
    (batch,) = task.evaluation_batches(config, data, CPU)
    return task.test_supervision(task.build_supervision(config), config).evaluate(model, *batch).scores[0, 0].numpy()


def test_features_are_those_that_the_probes_get(tmp_path):
    config = export(tmp_path, "leaf_pretrain")
    pixels = save_picture(tmp_path / "pictures" / "one.png", (48, 48))
    assert run(tmp_path) == 0
    features = np.load(tmp_path / "out" / "embeddings" / "one.npy")
    expected = final_scores(config, tmp_path, pixels, {"is_query": torch.tensor([False])})
    np.testing.assert_allclose(features, expected[0].numpy(), atol=1e-6)


def test_crowns_of_all_pictures_are_one_file_of_coco_results_beside_its_images(tmp_path, caplog):
    caplog.set_level("INFO", "trainable")
    config = export(tmp_path, "agroforestry")
    save_picture(tmp_path / "pictures" / "one.png", (64, 64))
    save_picture(tmp_path / "pictures" / "wide.png", (64, 100))
    assert run(tmp_path, "--overlay") == 0
    results = json.loads((tmp_path / "out" / "crowns.json").read_text())
    images = json.loads((tmp_path / "out" / "crowns_images.json").read_text())
    assert [(image["file_name"], image["width"]) for image in images["images"]] == [
        (str(tmp_path / "pictures" / "one.png"), 64),
        (str(tmp_path / "pictures" / "wide.png"), 100),
    ]
    assert [category["name"] for category in images["categories"]] == list(config.kinds)
    assert {result["image_id"] for result in results} == {1, 2}
    own = json.loads((tmp_path / "out" / "crowns" / "wide.json").read_text())
    assert [result for result in results if result["image_id"] == 2] == [{"image_id": 2, **one} for one in own]
    assert all(read_upright(tmp_path / "out" / row["overlay"]).width >= 768 for row in rows(tmp_path))
    assert "[2/2 | ~0:00 left]" in caplog.text


def test_the_command_judges_what_it_can_read_and_counts_the_rest(tmp_path, caplog):
    caplog.set_level("INFO", "trainable")
    export(tmp_path, "dishes")
    save_picture(tmp_path / "pictures" / "plate.png", (64, 64))
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    assert run(tmp_path) == 1
    assert "broken.jpg: is not an image in a known format" in caplog.text
    assert "1 picture in " in caplog.text
    assert "1 of 2 could not be read" in caplog.text
    save_picture(tmp_path / "pictures" / "broken.jpg", (64, 64))
    assert run(tmp_path) == 0
    assert "1 of 2 pictures are in" in caplog.text
    assert [row["picture"].rsplit("/")[-1] for row in rows(tmp_path)] == ["plate.png", "broken.jpg"]


def test_json_holds_the_name_itself_and_not_its_escaped_form_for_spreadsheets(tmp_path, monkeypatch, capsys):
    export(tmp_path, "dishes", class_names=["+ve", "-ve"])
    save_picture(tmp_path / "+a.png", (64, 64))
    monkeypatch.chdir(tmp_path)
    assert main(["--config", "config.json", "--image", "+a.png", "--device", "cpu", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert row["picture"] == "+a.png"
    assert row["class"] in ("+ve", "-ve")


# An interrupted reader leaves its file to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_keeps_predictions_and_the_same_command_continues(tmp_path, caplog):
    caplog.set_level("INFO", "trainable")
    export(tmp_path, "agroforestry")
    save_picture(tmp_path / "pictures" / "a.png", (64, 64))
    endless = tmp_path / "pictures" / "b.png"
    os.mkfifo(endless)
    # By its name: in a folder a pipe is not a picture.
    named = ["--image", str(tmp_path / "pictures" / "a.png"), str(endless)]

    def interrupt_its_reader():
        with endless.open("wb"):
            # To the thread that reads: a signal of the process may go to another, and the read goes on.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            ended.wait()

    ended = threading.Event()
    thread = threading.Thread(target=interrupt_its_reader)
    # A process in the background of a script ignores Ctrl-C.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        assert run(tmp_path, *named) == 130
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGINT, former)
    assert "the same command goes on" in caplog.text
    interrupted = json.loads((tmp_path / "out" / "crowns.json").read_text())
    endless.unlink()
    save_picture(endless, (64, 64), seed=1)
    assert run(tmp_path, *named) == 0
    whole = json.loads((tmp_path / "out" / "crowns.json").read_text())
    assert whole[: len(interrupted)] == interrupted
    assert len(whole) > len(interrupted) > 0


def test_weights_of_another_network_are_refused(tmp_path, caplog):
    export(tmp_path, "dishes")
    save_picture(tmp_path / "pictures" / "plate.png", (64, 64))
    torch.save({"head.weight": torch.zeros(2, 48)}, tmp_path / "other.pt")
    assert run(tmp_path, "--weights", str(tmp_path / "other.pt")) == 2
    assert "does not hold the weights of this configuration" in caplog.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("workload", "images", "arguments", "sentence"),
    [
        ("dishes", "empty", [], "empty holds no images"),
        ("dishes", "gone.png", [], "gone.png does not exist; give images, or folders of images."),
        ("leaf_pretrain", "pictures", ["--overlay"], "leaf_pretrain has nothing to draw; leave it out."),
    ],
)
def test_what_cannot_be_done_is_reported_before_anything_is_written(
    tmp_path, caplog, workload, images, arguments, sentence
):
    export(tmp_path, workload)
    save_picture(tmp_path / "pictures" / "plate.png", (64, 64))
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, *arguments, images=images) == 2
    assert sentence in caplog.text
    assert not (tmp_path / "out").exists()


def test_an_opened_picture_that_is_cut_off_is_a_bad_file(tmp_path):
    """Pillow opens it without a word, and reads its pixels later."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    model = TrainedModel(get_task("dishes").default_config(), torch.nn.Identity(), None, torch.device("cpu"))
    with (
        Image.open(tmp_path / "cut.jpg") as picture,
        pytest.raises(BadFileError, match=r"^can't be decoded: .*truncated"),
    ):
        model.predict(picture)


def test_every_workload_has_a_predictor():
    for workload in ("agroforestry", "dishes", "leaf", "leaf_pretrain", "retina"):
        task = get_task(workload)
        assert task.predictor(task.default_config())
