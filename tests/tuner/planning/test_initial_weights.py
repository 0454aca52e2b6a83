"""A search, and a training, that start from the weights of an earlier one."""

import pytest
import torch

from trainable.models.leaf_nets import Projector, ProjectorConfig
from trainable.reporting.output_folder import initial_weights
from trainable.run_setup import started_from
from trainable.tasks.registry import get_task
from trainable.train import main as train
from trainable.workloads.exported_config import ExportedConfig, write_exported_config
from tuner.budget.measurement import extremes
from tuner.planning.plan import plan_as_given
from tuner.planning.preflight import check_configurations
from tuner.search import main as search
from tuner.settings import SearchSettings


@pytest.fixture
def best(tmp_path, monkeypatch):
    monkeypatch.setenv("VISION_TUNER_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    folder = tmp_path / "results" / "leaf_pretrain" / "run" / "best"
    folder.mkdir(parents=True)
    torch.save(Projector(ProjectorConfig()).state_dict(), folder / "weights.pt")
    return folder


def test_every_trial_of_the_search_starts_from_the_export_whatever_the_working_folder_is(best, monkeypatch):
    monkeypatch.chdir(best.parent)
    plan = plan_as_given(SearchSettings(space="leaf", init=best.relative_to(best.parent)))
    assert plan.base.model.weights == plan.base.init_weights == str(best / "weights.pt")
    check_configurations(plan, {})


def test_an_encoder_that_does_not_fit_is_refused_before_ray_starts(best):
    settings = SearchSettings(space="leaf", init=best, pinned={"encoder": "swin_t"})
    with pytest.raises(ValueError, match="holds another encoder than this one"):
        check_configurations(plan_as_given(settings), settings.pinned)


def test_its_smallest_and_largest_are_told_apart_without_a_word_about_the_weights(best):
    """Torch would warn of each tensor that it can't load into a network without memory."""
    found = extremes(plan_as_given(SearchSettings(space="leaf", init=best)))
    assert found["smallest"].batch_size < found["largest"].batch_size


def test_a_training_starts_from_the_export(best):
    config = started_from(get_task("leaf").default_config(), best)
    encoder = get_task("leaf").build_model(config).backbone
    exported = torch.load(best / "weights.pt", weights_only=True)
    assert all(torch.equal(weight, exported[f"backbone.{name}"]) for name, weight in encoder.state_dict().items())
    assert initial_weights(best / "weights.pt") == config.model.weights


def test_what_is_no_export_is_a_sentence(best, tmp_path, capsys, caplog):
    said = "is not a file; give the folder of an export"
    assert search(["--space", "leaf", "--init", str(tmp_path), "--storage", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    write_exported_config(
        tmp_path / "config.json", ExportedConfig(config=get_task("leaf").default_config(), data_fingerprint={})
    )
    assert train(["--config", str(tmp_path / "config.json"), "--init", str(tmp_path / "gone")]) == 2
    assert said in caplog.text
    with pytest.raises(ValueError, match="give one of them"):
        SearchSettings(space="leaf", init=best, pinned={"weights": "scratch"})
