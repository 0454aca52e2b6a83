"""Weights are found from every working folder; a word stays one, whatever lies beside it."""

import pytest

from trainable.configuration.given_paths import with_found_files


@pytest.mark.parametrize("name", ["weights", "init_weights"])
@pytest.mark.parametrize("given", ["own.pt", "~/own.pt", "{folder}/own.pt"])
def test_weights_have_their_absolute_path(tmp_path, monkeypatch, name, given):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.pt").touch()
    expected = {name: str(tmp_path / "own.pt"), "max_lr": 0.1}
    assert with_found_files({name: given.format(folder=tmp_path), "max_lr": 0.1}) == expected


@pytest.mark.parametrize("word", ["scratch", "imagenet", "package:some", "gone.pt", None])
def test_a_word_stays_unchanged(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").touch()
    assert with_found_files({"weights": word}) == {"weights": word}
