"""A loop of the user's own as a workload: its configuration, its parameters, its data."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from trainable.config import flat_params, from_params, to_dict
from trainable.loop.loop_config import LoopConfig, LoopData
from trainable.run_setup import open_data
from trainable.workloads.loop_workload import Loop, LoopWorkload
from trainable.workloads.registry import get_workload, read_config, task_of


@dataclass(frozen=True)
class Params:
    """Parameters of a loop."""

    lr: float
    width: int = 8


class Told:
    """A loop that keeps what it is called with."""

    objective, mode, max_epochs = "val/loss", "min", 3
    defaults = {"lr": 0.5}

    def __init__(self) -> None:
        self.calls: list = []

    def train(self, params, trial):
        self.calls.append((params, trial.data, trial.seed, trial.max_epochs, trial.device))
        for _ in trial.epochs():
            trial.report({"val/loss": 1.0})


class TypedTold(Told):
    def train(self, params: Params, trial):
        return super().train(params, trial)


def called_with(loop, *, data=None, **params):
    workload = LoopWorkload(loop, name="mine:SPACE")
    config = from_params(params, workload.default_config(data))
    workload.begin(config, workload.open_data(config), device="cpu").run_epoch()
    return loop.calls[0]


def test_a_loop_is_called_with_exactly_what_was_suggested():
    params, *handle = called_with(Told(), lr=0.1, name="b", seed=7)
    assert params == {"lr": 0.1, "name": "b"}
    assert handle == [None, 7, 3, torch.device("cpu")]


def test_a_dataclass_in_the_annotation_is_filled():
    assert called_with(TypedTold(), lr=1)[0] == Params(lr=1.0, width=8)


class OtherTold(Told):
    def train(self, params: "dict[str, float]", trial: "OnlyForTheTypeChecker"):  # noqa: F821
        return super().train(params, trial)


class UnknownTold(Told):
    def train(self, params: "Unknown", trial):  # noqa: F821
        return super().train(params, trial)


def test_only_the_annotation_of_the_parameters_has_to_be_known():
    assert called_with(OtherTold(), lr=0.1)[0] == {"lr": 0.1}
    with pytest.raises(ValueError, match="are annotated as 'Unknown', which is not known when the loop runs"):
        called_with(UnknownTold(), lr=0.1)


@pytest.mark.parametrize("value", [torch.nn.ReLU(), {1, 2}, float("nan"), {"a": [object()]}, np.int64(3)])
def test_a_parameter_that_no_record_can_hold_is_reported(value):
    with pytest.raises(ValueError, match=r"activation is .*, which no record can hold"):
        called_with(Told(), activation=value)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"lr": 0.1, "widht": 4}, "widht is not a field of Params; did you mean width?"),
        ({"width": 4}, "Params needs lr; suggest it, or give the field a default."),
        ({"lr": "high"}, "lr is 'high'; it must be a finite number."),
    ],
)
def test_parameters_that_do_not_fit_the_dataclass_are_a_sentence_before_any_training(params, sentence):
    workload = LoopWorkload(TypedTold(), name="mine:SPACE")
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        workload.check(from_params(params, workload.default_config()))


def test_the_folder_of_the_data_is_handed_on_and_known_again_by_its_names_and_sizes(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    loop = Told()
    assert called_with(loop, data=str(tmp_path))[1] == tmp_path
    workload = LoopWorkload(loop, name="mine:SPACE")
    config = workload.default_config(str(tmp_path))
    before = workload.open_data(config).fingerprint
    assert workload.open_data(config).fingerprint == before
    (tmp_path / ".DS_Store").touch()
    assert workload.open_data(config).fingerprint == before
    (tmp_path / "b.txt").write_text("two")
    assert workload.open_data(config).fingerprint != before


def test_files_behind_a_link_to_a_folder_count_as_the_data_of_a_loop(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(tmp_path / "store")
    workload = LoopWorkload(Told(), name="mine:SPACE")
    config = workload.default_config(str(tmp_path / "data"))
    before = workload.open_data(config).fingerprint
    (tmp_path / "store" / "a.png").write_text("one")
    assert workload.open_data(config).fingerprint != before


def test_without_a_folder_there_is_no_fingerprint_and_a_missing_folder_is_named(tmp_path):
    workload = LoopWorkload(Told(), name="mine:SPACE")
    assert workload.open_data(workload.default_config()).fingerprint == {}
    with pytest.raises(ValueError, match="nowhere, which does not exist; give a folder or file that the loop reads"):
        workload.open_data(workload.default_config(str(tmp_path / "nowhere")))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's file on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_to_load.py").write_text(
        "from search_spaces import LoopSpace\n"
        "def train(params, trial): pass\n"
        "SPACE = LoopSpace(name='mine', train=train, objective='val/loss', suggest=lambda trial: {}, defaults={},\n"
        "                  max_epochs=5)\n"
    )
    yield "mine_to_load:SPACE"
    sys.modules.pop("mine_to_load", None)


def test_a_reference_to_a_loop_is_a_workload_whose_configuration_is_read_back(mine):
    workload = get_workload(mine)
    assert isinstance(workload, LoopWorkload)
    config = from_params({"lr": 0.1, "layers": [1, 2]}, workload.default_config())
    assert config == LoopConfig(workload=mine, max_epochs=5, data=LoopData(), params={"lr": 0.1, "layers": [1, 2]})
    assert read_config(to_dict(config)) == config
    assert flat_params(config)["lr"] == 0.1
    assert open_data(config, {}).path is None


def test_what_needs_a_network_of_this_project_says_so(mine):
    with pytest.raises(ValueError, match=f"{mine} is a loop of your own, and this command needs data and a network"):
        task_of(get_workload(mine).default_config())


def test_a_loop_space_is_what_a_workload_takes_for_a_loop(mine):
    assert isinstance(Told(), Loop)
    assert not isinstance(Params(lr=1.0), Loop)


class WithNetwork(Told):
    """A loop that names a network of 8 * width parameters."""

    def train(self, params, trial):
        model = torch.nn.Linear(8, params["width"], bias=False)
        for _ in trial.epochs(model=model):
            raise AssertionError("an epoch is trained")


def measured(loop, *quantities, **params):
    workload = LoopWorkload(loop, name="mine:SPACE")
    config = from_params(params, workload.default_config())
    return workload.measure(config, workload.open_data(config), torch.device("cpu"), quantities)


def test_the_parameters_of_the_model_are_counted_before_any_epoch():
    assert measured(WithNetwork(), "params_m", width=5) == {"params_m": 40 / 1e6}


@pytest.mark.parametrize(
    ("loop", "quantity", "sentence"),
    [
        (WithNetwork(), "latency_ms", "--limit latency_ms needs images, which only your loop has"),
        (WithNetwork(), "peak_gib", "only your loop has; give --limit params_m alone"),
        (Told(), "params_m", r"counts the parameters of model: call trial\.epochs\(model=\.\.\.\) with a network"),
        (TypedTold(), "params_m", "Params needs lr"),
    ],
)
def test_what_cannot_be_measured_of_a_loop_is_a_sentence(loop, quantity, sentence):
    with pytest.raises(ValueError, match=sentence):
        measured(loop, quantity, **({"width": 2} if isinstance(loop, WithNetwork) else {}))


def test_its_defaults_are_its_only_preset():
    workload = LoopWorkload(Told(), name="mine:SPACE")
    presets = workload.presets
    assert list(presets) == ["default"]
    assert presets["default"].over(workload.default_config(), has_folder=False).params == {"lr": 0.5}


def test_a_loop_has_no_trivial_prediction_and_a_clause_says_why():
    workload = LoopWorkload(Told(), name="mine:SPACE")
    config = workload.default_config()
    data = workload.open_data(config)
    assert workload.trivial_floor(config, data, "validation") is None
    assert workload.no_linear_probe(config) == "mine:SPACE is a loop of your own, whose network is not known here"
    with pytest.raises(ValueError, match="No linear probe: mine:SPACE is a loop of your own"):
        workload.linear_probe(config, data, "validation")
