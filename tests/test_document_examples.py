"""Each command and script of docs/documents/ runs as it is written, on a few small pictures, shortened to one epoch."""

import csv
import importlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.conftest import write_discs
from trainable.data.io.image_cache import CACHE_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs/documents").glob("*.md"))
SMALL = {
    "moe": ["long_side_px=48", "pyramid_channels=8"],
    "dishes": ["image_size_px=32", "backbone=small"],
    "agroforestry": ["tile_px=64", "overlap_px=0", "pyramid_channels=8"],
    "leaf_pretrain": ["encoder=small", "image_size_px=32", "batch_size=8"],
    "leaf": ["encoder=small", "image_size_px=32"],
    "retina": ["image_size_px=32", "backbone=small", "weights=scratch"],
}
"""Further settings of each preset, so that it takes seconds instead of hours."""


def blocks(page: Path, kind: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [text for own_kind, text in found if own_kind == kind]


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page) for line in block.splitlines()]


def shortened(arguments: list[str]) -> list[str]:
    """The command with one epoch where it says nothing else, and a small network on small pictures."""
    module, *rest = arguments
    if module == "trainable.preset":
        changes = SMALL[rest[0]]
        return [*rest, "--epochs", "1", *(word for change in changes for word in ("--set", change))]
    if module == "trainable.train":
        return rest if "--device" in rest else [*rest, "--device", "cpu"]
    return rest


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working folder with data for every page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    data = tmp_path / "path/to"
    write_discs(data / "scenes", num_pairs=10)
    for name in ("dishes/clean", "dishes/dirty", "leaves/healthy", "leaves/rust", "leaves/spot"):
        write_pictures(data / name, 12)
    write_pictures(data / "plots", 6)
    (data / "plots/crowns.json").write_text(json.dumps(crowns(6)))
    write_pictures(data / "fundus/images", 15)
    with (data / "fundus/labels.csv").open("w", newline="") as file:
        rows = [(f"p{number}", number % 5, number % 3) for number in range(15)]
        csv.writer(file).writerows([("image", "retinopathy grade", "edema grade"), *rows])
    return tmp_path


def write_pictures(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    seed = sum(map(ord, folder.as_posix()))
    for row in range(number):
        pixels = np.random.default_rng(seed + 100 * row).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{row}.png")


def crowns(number: int) -> dict:
    boxes = [{"id": row, "image_id": row, "category_id": 1, "bbox": [8, 8, 24 + row, 30]} for row in range(number)]
    images = [{"id": row, "file_name": f"p{row}.png", "width": 64, "height": 64} for row in range(number)]
    return {"images": images, "categories": [{"id": 1, "name": "palm"}], "annotations": boxes}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_their_order(page, world, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run = 0
    for command in commands(page):
        program, *arguments = shlex.split(command)
        if program == "torchrun" or arguments[1] == "tuner.search":
            continue
        assert (program, arguments[0]) == ("python", "-m")
        status = importlib.import_module(arguments[1]).main(shortened(arguments[1:]))
        assert status == 0, command
        run += 1
    assert run >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_take_their_options_and_presets(page, world):
    """Commands of presets are run; for all others the options are parsed."""
    for command in commands(page):
        program, *arguments = shlex.split(command)
        if program == "torchrun":
            arguments = arguments[arguments.index("-m") :]
        _, module, *rest = arguments
        if module == "trainable.preset":
            assert importlib.import_module(module).main(shortened([module, *rest])) == 0, command
        elif hasattr(imported := importlib.import_module(module), "build_parser"):
            imported.build_parser(prog="python -m").parse_args(rest)


def test_the_script_of_s0_trains_and_its_parts_work_alone(world, capsys):
    torch.manual_seed(0)
    images = torch.rand(8, 3, 32, 32)
    loader = [(images[at : at + 4], (images[at : at + 4].mean(1, keepdim=True) > 0.5).float()) for at in (0, 4)]
    routing = {"routing_probs": torch.full((16, 6), 1 / 6), "expert_assignments": torch.arange(16)[:, None] % 6}
    names = {"model": Routed(), "epochs": 2, "train_loader": loader, "val_loader": loader, **routing}
    for script in blocks(page_of("moe"), "python"):
        exec(script, names)
    assert names["start_epoch"] in (1, 2)
    assert names["augmentation"].current_strength == pytest.approx(0.55)
    assert not names["collapsed"]
    assert "'global_step': 2" in capsys.readouterr().out


def test_the_parts_of_s3_work_alone(world):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 7))
    names = {"model": model, "num_classes": 7, "images": torch.rand(4, 3, 8, 8), "labels": torch.arange(4)}
    before = model[1].weight.detach().clone()
    exec(blocks(page_of("leaf"), "python")[0], names)
    assert names["predictions"].shape == (4,)
    assert not torch.equal(model[1].weight, before)


def test_the_loss_and_the_unfreezing_of_s4_work_alone(world):
    torch.manual_seed(0)
    model = Graded()
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    batch = {"images": torch.rand(6, 3, 8, 8), "grades": torch.arange(6) % 5, "risks": torch.arange(6) % 3}
    names = {"model": model, **batch}
    exec(blocks(page_of("retina"), "python")[0], names)
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, fresh[name])}
    assert moved == {"retinopathy", "edema"}, "the heads alone, in the first epochs"
    assert (names["weighting"].effective() != 1).all()


def page_of(name: str) -> Path:
    return ROOT / f"docs/documents/{name}.md"


class Routed(nn.Module):
    """The document's dict, of a network that sends each image to one of four experts."""

    def __init__(self):
        super().__init__()
        self.head, self.router = nn.Conv2d(3, 1, 3, padding=1), nn.Linear(3, 4)

    def forward(self, images):
        probs = self.router(images.mean(dim=(2, 3))).softmax(dim=1)
        logits = self.head(images) * probs.amax(dim=1)[:, None, None, None]
        routing = {"routing_probs": probs, "expert_assignments": probs.topk(1, dim=1).indices}
        return {"predictions": logits, "aux_outputs": [], "routing_info": routing}


class Graded(nn.Module):
    """A backbone of four blocks, and a head for each grade."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Linear(8, 8), nn.Linear(8, 8))
        self.retinopathy, self.edema = nn.Linear(8, 5), nn.Linear(8, 3)

    def forward(self, images):
        features = self.backbone(images)
        return self.retinopathy(features), self.edema(features)
