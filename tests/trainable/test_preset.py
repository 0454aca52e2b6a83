"""A strategy is written as the file that everything else reads."""

import json

import pytest

from trainable.data.image_cache import CACHE_VARIABLE
from trainable.handover import read_handover
from trainable.preset import main
from trainable.train import main as train_main


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))


def test_a_preset_becomes_a_file_that_training_reads(tmp_path):
    out = tmp_path / "balanced" / "config.json"
    assert main(["dishes", "balanced", str(out)]) == 0
    handover = read_handover(out)
    assert handover.config.early_stopping.patience_epochs == 5
    assert handover.config.loss.class_counts == (192, 96)
    assert handover.data_fingerprint.keys() == {"train", "validation", "test", "all"}
    content = json.loads(out.read_text())
    content["config"] |= {"max_epochs": 1, "max_train_batches": 1}
    out.write_text(json.dumps(content))
    assert train_main(["--config", str(out), "--output", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert "macro_f1" in json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]


def test_an_unknown_preset_is_a_sentence_with_the_nearest(tmp_path, caplog):
    assert main(["dishes", "balance", str(tmp_path / "config.json")]) == 2
    assert "balance is no preset of dishes; did you mean balanced?" in caplog.text
    assert not (tmp_path / "config.json").exists()
