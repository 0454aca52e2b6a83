"""A network of the user's in a workload: built with its parameters, trained, recorded, refused with a sentence."""

import hashlib
import json
import sys

import pytest
import torch

from trainable.config import from_params, parameters_of, to_dict
from trainable.predict import load_trained_model
from trainable.preset import main as preset
from trainable.tasks.registry import default_config, get_task
from trainable.train import main as train
from trainable.workloads.exported_config import read_exported_config

NETS = """
import torch
from torch import nn

class Classes(nn.Module):
    def __init__(self, num_classes, width=8):
        super().__init__()
        self.layer, self.head = nn.Conv2d(3, width, 3, 4), nn.Linear(width, num_classes)
    def forward(self, images):
        return self.head(self.layer(images).mean(dim=(2, 3)))

class Masks(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)
    def forward(self, images):
        return {"predictions": self.layer(images)}

class WrongKind(Classes):
    def forward(self, images):
        return "logits"

class NoPredictions(Classes):
    def forward(self, images):
        return {"logits": super().forward(images)}

class Whole(Classes):
    def forward(self, images):
        return super().forward(images).argmax(dim=1)[:, None].expand(-1, 2)

class Fails(Classes):
    def forward(self, images):
        return self.head(images)

class FailsInTraining(Classes):
    def forward(self, images):
        return super().forward(images) if not self.training else super().forward(images)[:, :1]

class Frozen(Classes):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.requires_grad_(False)

class Detached(Classes):
    @torch.no_grad()
    def forward(self, images):
        return super().forward(images)

class Lazy(Classes):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.head = nn.LazyLinear(num_classes)

class Exits(Classes):
    def forward(self, images):
        raise SystemExit(3)

class Remembers(Masks):
    def __init__(self):
        super().__init__()
        self.images = 0
    def forward(self, images):
        self.images += len(images) * self.training
        return super().forward(images)
    def get_extra_state(self):
        return {"images": self.images}
    def set_extra_state(self, state):
        self.images = state["images"]

class Code(Classes):
    def get_extra_state(self):
        return {"kind": Classes}
    def set_extra_state(self, state):
        pass

class Unsaved(Classes):
    def get_extra_state(self):
        return lambda: 3

class OneWay(Classes):
    def get_extra_state(self):
        return {"kind": 3}

def not_a_network():
    return 3

class AnyOptions(Classes):
    def __init__(self, num_classes, **options):
        super().__init__(num_classes, **options)

def options_alone(**options):
    return Classes(**options)

class Refuses(Classes):
    def __init__(self, width=8):
        raise RuntimeError("no luck")
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module of networks with a name of its own, on the path as after a reference was found."""
    name = f"nets_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def configured(workload, **params):
    return from_params(params, default_config(workload))


@pytest.mark.parametrize(
    ("workload", "network", "shape"),
    [
        ("moe", "Masks", (2, 1, 64, 64)),
        ("dishes", "Classes", (2, 2)),
        ("leaf", "Classes", (2, 5)),
        ("retina", "Classes", None),
    ],
)
def test_a_network_of_ones_own_takes_the_place_of_the_workloads(nets, workload, network, shape):
    config = configured(workload, network=f"{nets}:{network}", **{"network.width": 12})
    built = get_task(workload).build_model(config)
    assert type(built).__name__ == network
    assert built.layer.out_channels == (1 if network == "Masks" else 12)
    if shape is None:
        shape = (2, len(config.model.class_names))
    output = built(torch.rand(2, 3, 64, 64))
    assert (output["predictions"] if network == "Masks" else output).shape[1:] == shape[1:]


def test_parameters_are_set_one_by_one_over_those_of_the_configuration(nets):
    first = configured("dishes", network=f"{nets}:Classes", **{"network.width": 12})
    again = from_params({"network.num_classes": 2}, first)
    assert again.model.network_params == {"width": 12, "num_classes": 2}
    json.dumps(to_dict(again))


def test_a_named_argument_is_passed_beside_those_of_any_name(nets):
    config = configured("dishes", network=f"{nets}:AnyOptions", **{"network.width": 12})
    assert get_task("dishes").build_model(config).head.weight.shape == (2, 12)


def test_a_constructor_that_names_no_argument_gets_what_is_set_alone(nets):
    config = configured("dishes", network=f"{nets}:options_alone", **{"network.num_classes": 2})
    assert get_task("dishes").build_model(config).head.out_features == 2
    with pytest.raises(ValueError, match="num_classes"):
        get_task("dishes").build_model(configured("dishes", network=f"{nets}:options_alone"))


def test_training_exports_and_predicts_with_it_and_records_its_file(nets, tmp_path):
    config, output = tmp_path / "config.json", tmp_path / "run"
    settings = ["--set", f"network={nets}.py:Masks", "--set", "scenes.num_train=8", "--epochs", "1"]
    assert preset(["moe", "default", str(config), *settings]) == 0
    recorded = json.loads(config.read_text())["references"]
    assert [one["text"] for one in recorded] == [f"{nets}:Masks"]
    assert recorded[0]["sha256"] == hashlib.sha256((tmp_path / f"{nets}.py").read_bytes()).hexdigest()
    assert train(["--config", str(config), "--output", str(output)]) == 0
    exported = read_exported_config(output / "config.json")
    assert type(load_trained_model(exported.config, output / "weights.pt")).__name__ == "Masks"


def test_extra_state_of_the_best_epoch_is_exported_with_averaged_weights(nets, tmp_path):
    config, output = tmp_path / "config.json", tmp_path / "run"
    settings = ["--set", f"network={nets}:Remembers", "--set", "averaging=true", "--set", "scenes.num_train=8"]
    assert preset(["moe", "default", str(config), *settings, "--epochs", "1"]) == 0
    assert train(["--config", str(config), "--output", str(output)]) == 0
    exported = read_exported_config(output / "config.json")
    assert load_trained_model(exported.config, output / "weights.pt").images == 8


def test_a_changed_file_is_a_sentence(nets, tmp_path, caplog):
    config = tmp_path / "config.json"
    assert preset(["dishes", "default", str(config), "--set", f"network={nets}:Classes"]) == 0
    (tmp_path / f"{nets}.py").write_text(NETS + "\n# changed\n")
    assert train(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert "has changed since" in caplog.text


def test_a_changed_file_that_it_imports_is_named(nets, tmp_path, caplog):
    config, layers = tmp_path / "config.json", tmp_path / f"layers_of_{nets}.py"
    layers.write_text("WIDTH = 8\n")
    (tmp_path / f"{nets}.py").write_text(f"from layers_of_{nets} import WIDTH\n{NETS}")
    assert preset(["dishes", "default", str(config), "--set", f"network={nets}:Classes"]) == 0
    layers.write_text("WIDTH = 9\n")
    assert train(["--config", str(config), "--output", str(tmp_path / "run")]) == 2
    assert f"layers_of_{nets}.py, which {nets}:Classes imports, has changed since" in caplog.text


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("WrongKind", r"must return logits of shape \(B, 2\) in training: TypeError: The model returned str"),
        ("NoPredictions", r"must return logits of shape \(B, 2\).*dict of logits, without 'predictions'"),
        ("Whole", r"predictions of torch.int64"),
        ("Fails", r"fails on images of \d+x\d+ px in training: RuntimeError"),
        ("FailsInTraining", r"predictions of shape \(B, 1\) in training; it must return logits of shape \(B, 2\)"),
        ("Masks", r"predictions of shape \(B, 1, \d+, \d+\) in training; it must return logits of shape \(B, 2\)"),
        ("Frozen", r"Frozen has no parameters that can be trained"),
        ("Detached", r"returns predictions without a gradient in training; remove no_grad"),
        ("Lazy", r"Lazy holds lazy layers, which have no shape yet"),
        ("Exits", r"px in training: SystemExit: 3 \(nets_\w+\.py, line \d+\)"),
        ("Code", r"_extra_state of nets_\w+:Code holds nets_\w+\.Classes; a checkpoint holds tensors, numbers, text"),
        ("Unsaved", r"the state of nets_\w+:Unsaved can't be saved and restored: "),
        ("OneWay", r"the state of nets_\w+:OneWay can't be saved and restored: RuntimeError: .*_extra_state"),
        ("not_a_network", r"returns a int; it must return a torch.nn.Module"),
        ("Refuses", r"cannot be built: RuntimeError: no luck"),
    ],
)
def test_another_form_is_refused_with_a_sentence_before_any_training(nets, network, sentence):
    config = configured("dishes", network=f"{nets}:{network}")
    with pytest.raises(ValueError, match=sentence):
        get_task("dishes").build_model(config)


@pytest.mark.parametrize(
    ("workload", "params", "sentence"),
    [
        ("dishes", {"network": "{nets}:Clases"}, "has no Clases; did you mean Classes?"),
        ("dishes", {"network": "{nets}:Classes", "network.widht": 3}, "did you mean width?"),
        ("dishes", {"network.width": 3}, "given without a network"),
        ("dishes", {"network": "{nets}:Classes", "weights": "package:x"}, "load them in its constructor"),
        ("agroforestry", {"network": "{nets}:Masks"}, "takes no network of your own"),
        ("leaf_pretrain", {"network": "{nets}:Classes"}, "takes no network of your own"),
    ],
)
def test_what_a_network_of_ones_own_cannot_have_is_refused(nets, workload, params, sentence):
    given = {name: value.format(nets=nets) if isinstance(value, str) else value for name, value in params.items()}
    with pytest.raises(ValueError, match=sentence):
        configured(workload, **given)


def test_terms_about_experts_are_off(nets):
    config = configured("moe", network=f"{nets}:Masks")
    task = get_task("moe")
    network = task.build_model(config)
    techniques = task.build_techniques(config, network, torch.optim.SGD(network.parameters(), lr=0.1))
    assert techniques.load_balancer is None
    assert techniques.collapse_detector is None
    assert task.build_lasting_collapse(config) is None


def test_every_argument_is_a_parameter_with_its_type_and_value(nets):
    config = configured("dishes", network=f"{nets}:Classes", **{"network.width": 12})
    width = parameters_of(config)["network.width"]
    assert (width.section, width.hint, config.model.network_value("width")) == ("model", int, 12)
    assert configured("dishes", network=f"{nets}:Classes").model.network_value("width") == 8
