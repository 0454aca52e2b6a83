"""Runs the commands of wrong_inputs.md, each of which must be answered with its sentence and exit status 2.

All that the commands name lies in one folder, the working folder of every command; what is in it must be the same
afterwards, byte for byte.
"""

import errno
import importlib
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
import torch
from PIL import Image

from search_spaces.registry import SPACES
from tests.tuner.conftest import recorded_settings
from trainable.config import from_params, to_dict
from trainable.leg import checkpoint_name
from trainable.preset import preset_config
from trainable.reporting.train_options import TrainOptions
from trainable.tasks.registry import get_task
from trainable.train import train
from trainable.workloads.exported_config import ExportedConfig, current_versions, write_exported_config
from tuner.policy.outcomes import Outcome
from tuner.records import SETTINGS, Recorder, TrialResources, lock_folder, trial_name
from tuner.records.checkpoints import trial_folder
from tuner.records.events import TRIALS

TABLE = Path(__file__).with_name("wrong_inputs.md")
NEEDS_RAY = "More than there is"


def rows(*, needs_ray: bool) -> list:
    """Commands and sentences of the sections of the table."""
    sections = TABLE.read_text(encoding="utf-8").split("\n## ")[1:]
    chosen = "".join(section for section in sections if section.startswith(NEEDS_RAY) == needs_ray)
    found = re.findall(r"^\| `(.+?)` \| `(.+)` \|$", chosen, flags=re.MULTILINE)
    return [pytest.param(command, sentence, id=command) for command, sentence in found]


@pytest.mark.parametrize(("command", "sentence"), rows(needs_ray=False))
def test_a_wrong_input_is_reported_before_ray_starts_and_nothing_is_lost(call, forbidden_ray, command, sentence):
    assert_reported(*call(command), sentence)


@pytest.mark.parametrize(("command", "sentence"), rows(needs_ray=True))
def test_a_request_for_more_than_the_cluster_has_is_reported_without_waiting(call, ray_of_two_cpus, command, sentence):
    assert_reported(*call(command), sentence)


def test_every_row_of_the_table_is_run():
    written = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(written) == len(rows(needs_ray=False)) + len(rows(needs_ray=True)) >= 80


def test_a_line_that_was_being_written_when_the_search_was_killed_is_left_out(call, forbidden_ray):
    status, said = call("tuner.export results/moe/torn")
    assert (status, said.strip()) == (0, "results/moe/torn/best/config.json")


def test_a_folder_that_another_process_writes_into_is_refused_by_every_command_that_writes(call, forbidden_ray, world):
    with lock_folder(world / "results/moe/running"):
        for command in ("tuner.export", "tuner.confirm", "tuner.report", "tuner.ensemble --top 1"):
            assert_reported(*call(f"{command} results/moe/running"), "results/moe/running is in use by process … on …")
        assert call("tuner.explain results/moe/running")[0] == 0
        assert call("tuner.report results/moe/running --output elsewhere")[0] == 0


def test_a_place_without_the_right_to_write_is_reported(call, monkeypatch):
    monkeypatch.setattr("trainable.reporting.output_folder.os.access", lambda *_: False)
    assert_reported(*call("tuner.search --storage there"), "can't be written to; give another folder as --storage.")


def test_the_last_gpu_is_named_when_a_later_one_is_asked_for(call, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    asked = "trainable.train --config config.json --device cuda:2"
    assert_reported(*call(asked), "device is 'cuda:2', but the last CUDA device of this machine is cuda:1; use that.")


def test_a_full_disk_is_reported_with_what_to_do(call, ray_of_two_cpus, monkeypatch):
    def fill_up(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "settings.json")

    monkeypatch.setattr("tuner.run.Recorder.create", fill_up)
    read = "settings.json: No space left on device. Finished epochs are saved; fix the problem and continue"
    assert_reported(*call("tuner.search --data data --max-epochs 2"), read)


def test_a_person_at_a_terminal_reads_one_line_and_no_traceback():
    command = [sys.executable, "-m", "tuner.search", "--space", "meo"]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    read = f"error: meo is not a search space, known: {', '.join(SPACES)}; did you mean moe?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", read)


def assert_reported(status: int, said: str, sentence: str) -> None:
    assert status == 2
    assert re.search(".*".join(map(re.escape, sentence.split("…"))), said, flags=re.DOTALL), said
    assert "Traceback" not in said


@pytest.fixture(autouse=True)
def no_token_is_shown_to_later_clusters(monkeypatch):
    """`--address` shows Ray a token for the rest of the process, which is right for a command."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_MODE")


def command_of(module: str):
    """The module that `python -m` runs: itself, or the `__main__` of a package."""
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(found, "__path__") else found


@pytest.fixture
def call(world, untouched, monkeypatch, capsys, caplog):
    """Runs a command in the world and checks that it left every file as it was; gives the status and what was said."""

    def run(command: str) -> tuple[int, str]:
        module, *arguments = shlex.split(command)
        try:
            status = command_of(module).main(arguments)
        except SystemExit as end:
            status = end.code
        assert untouched.items() <= contents(world).items()
        said = capsys.readouterr()
        return status, said.err + said.out + caplog.text

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("tuner.planning.base_config.trained_backbones", lambda: iter(()))
    for module in ("trainable.reporting.tracking", "tuner.page", "tuner.settings"):
        monkeypatch.setattr(f"{module}.find_spec", lambda package: None)
    monkeypatch.chdir(world)
    monkeypatch.setenv("VISION_TUNER_CACHE", str(world / "cache"))
    return run


@pytest.fixture
def forbidden_ray(monkeypatch):
    def start(**_):
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", start)


@pytest.fixture
def ray_of_two_cpus(monkeypatch):
    class Context:
        dashboard_url = ""

    monkeypatch.setattr(ray, "init", lambda **_: Context())
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="nowhere:1"))
    monkeypatch.setattr("tuner.ray.cluster.head_watched", lambda *_, **__: nullcontext())
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])


@pytest.fixture(scope="module")
def untouched(world):
    return contents(world)


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Length and time of change of every file."""
    files = (path for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts)
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with data, a configuration, a run and a search that are good, and with copies that are not."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("VISION_TUNER_CACHE", str(folder / "cache"))
        write_data(Path("data"))
        write_annotated()
        write_own_code()
        Path("a-file").write_text("I am a file")
        Path("empty").mkdir()
        exported = small_export()
        write_configurations(exported)
        train(exported, Path("run"), TrainOptions(device="cpu"))
        write_runs()
        write_searches(exported)
    return folder


def write_data(root: Path) -> None:
    generator = np.random.default_rng(0)
    for part in ("Imgs", "GT"):
        (root / part).mkdir(parents=True)
    for number in range(10):
        picture = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        mask = np.zeros((32, 48), np.uint8)
        mask[8 : 16 + number, 8:24] = 255
        Image.fromarray(picture).save(root / "Imgs" / f"img_{number}.png")
        Image.fromarray(mask).save(root / "GT" / f"img_{number}.png")


def write_annotated() -> None:
    """Pictures with annotations or tables that cannot be used, a folder for each."""
    sound = {"width": 48, "height": 32}
    crowns = {
        "crowns-damaged": "{",
        "crowns-resized": crowns_as_json({"width": 96, "height": 64}, [4, 4, 20, 20]),
        "crowns-in-fractions": crowns_as_json(sound, [0.1, 0.1, 0.5, 0.5]),
        "crowns-of-two-images": crowns_as_json(sound | {"id": 0}, [4, 4, 20, 20]),
    }
    for name, content in crowns.items():
        write_pictures(Path(name))
        Path(name, "crowns.json").write_text(content)
    tables = {
        "grades-in-doubt": "image,dr,level\nplot0,1,2\n",
        "grades-without-header": "plot0,1\nplot1,0\n",
        "grades-of-others": "image,level\neye,1\n",
        "classes-in-doubt": "image,label,class\nplot0,a,b\n",
        "classes-under-two-names": "image,label\nplot0,Rust\nplot1,rust\nplot2,ok\nplot3,ok\n",
        "crowns-as-points": "image_path,x,y,label\nplot0.png,4,6,palm\n",
    }
    for name, content in tables.items():
        write_pictures(Path(name))
        Path(name, "labels.csv").write_text(content)
    for folder in ("grades-in-a-spreadsheet", "classes-in-a-spreadsheet"):
        write_pictures(Path(folder))
        Path(folder, "labels.xlsx").write_bytes(b"PK\x03\x04")
    shutil.copytree("data", "masks-with-void")
    for path in Path("masks-with-void/GT").iterdir():
        mask = np.asarray(Image.open(path)) // 255
        mask[20:26] = 255
        Image.fromarray(mask).save(path)


def write_pictures(folder: Path) -> None:
    folder.mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"plot{number}.png")


def crowns_as_json(image: dict[str, int], box: list[float]) -> str:
    crown = {"category_id": 1, "bbox": box}
    return json.dumps(
        {
            "images": [{"id": number, "file_name": f"plot{number}.png"} | image for number in range(6)],
            "categories": [{"id": 1, "name": "palm"}],
            "annotations": [{"id": number, "image_id": number} | crown for number in range(6)],
        }
    )


MY_LOOP = """
import torch

from search_spaces import LoopSpace


def train(params, trial):
    model = torch.nn.Linear(8, params["width"])
    for _ in trial.epochs(model=model):
        trial.report({"val/loss": params["lr"]})


def suggest(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 1e-1, log=True), "width": trial.suggest_int("width", 4, 16)}


SPACE = LoopSpace(
    name="my_loop",
    train=train,
    objective="val/loss",
    mode="min",
    suggest=suggest,
    defaults={"lr": 1e-2, "width": 8},
    max_epochs=2,
)
"""
MY_NETS = """
from torch import nn

SIZE = 3


class Masks(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, images):
        return self.layers(images)


class Classes(Masks):
    def forward(self, images):
        return super().forward(images).mean(dim=(2, 3))
"""


def write_own_code() -> None:
    """A loop and networks of a user's."""
    Path("my_loop.py").write_text(MY_LOOP)
    Path("loop.yaml").write_text("workload: my_loop.py:SPACE\n")
    Path("my_nets.py").write_text(MY_NETS)


def small_export() -> ExportedConfig:
    task = get_task("moe")
    config = from_params({"max_epochs": 2, "batch_size": 4, "augmentation": False}, task.default_config("data"))
    splits = task.open_data(config)
    return ExportedConfig(config=task.adapt_to_data(config, splits), data_fingerprint=splits.fingerprint)


def write_configurations(exported: ExportedConfig) -> None:
    write_exported_config(Path("config.json"), exported)
    Path("text.json").write_text("max_lr: 3e-3")
    Path("list.json").write_text("[]")
    for name, (path, value) in CHANGES.items():
        content = json.loads(Path("config.json").read_text())
        *sections, last = path.split(".")
        section = content
        for each in sections:
            section = section[each]
        section[last] = section.get(last, {}) | value if isinstance(value, dict) else value
        if value is LEFT_OUT:
            del section[last]
        Path(f"{name}.json").write_text(json.dumps(content))


LEFT_OUT = object()
OTHER_DATA = {"train": "00" * 32, "all": "11" * 32}
CHANGES = {
    "newer": ("format", 9),
    "lacking": ("num_threads", LEFT_OUT),
    "unknown": ("config.optimizer.max_rl", 0.1),
    "missing": ("config.optimizer.max_lr", LEFT_OUT),
    "typed": ("config.batch_size", "many"),
    "infinite": ("config.batch_size", float("inf")),
    "range": ("config.model.top_k", 5),
    "sizeless": ("config.trained_size_px", None),
    "null": ("config.data", None),
    "threads": ("num_threads", 0),
    "workload": ("config.workload", "meo"),
    "other-data": ("data_fingerprint", OTHER_DATA),
    "longer": ("config.max_epochs", 3),
    "wider": ("config.model.num_experts", 8),
}


def write_runs() -> None:
    for name in ("damaged", "pickled", "newer", "gone"):
        shutil.copytree("run", name)
    whole = Path("run/checkpoint.pt").read_bytes()
    Path("damaged/checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"format": 1, "epoch": socket.socket}, "pickled/checkpoint.pt")
    torch.save({"format": 9}, "newer/checkpoint.pt")
    Path("gone/checkpoint.pt").unlink()


def write_searches(exported: ExportedConfig) -> None:
    """Copies of one search of one trial, whose checkpoint is that of the run."""
    sound, trial = Path("results/moe/sound"), trial_name(0, {})
    settings = recorded_settings(
        name="sound",
        num_trials=1,
        max_epochs=2,
        rung_epochs=(1,),
        scheduler="asha",
        sampler="forecast",
        resources=TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0),
        data="data",
        pinned={},
        data_fingerprint=exported.data_fingerprint,
        base_config=to_dict(exported.config),
        versions=current_versions(),
    )
    recorder = Recorder.create(sound, settings)
    recorder.start(trial, params={}, answers={})
    recorder.result(trial, epoch=1, objective=0.5, metrics={"val/s_measure": 0.5}, seconds=1.0)
    recorder.end(trial, Outcome.COMPLETED, numbers={"epoch": 1}, epoch=1)
    recorder.finish()
    recorder.close()
    trial_folder(sound, trial).mkdir(parents=True)
    shutil.copy("run/checkpoint.pt", trial_folder(sound, trial) / checkpoint_name(1))
    for name, change in SEARCHES.items():
        change(shutil.copytree(sound, sound.with_name(name)))


def resettle(folder: Path, **changes: object) -> None:
    settings = json.loads((folder / SETTINGS).read_text())
    (folder / SETTINGS).write_text(json.dumps(settings | changes))


def rewrite_line(folder: Path, number: int, line: str) -> None:
    lines = (folder / TRIALS).read_text().splitlines()
    lines[number - 1] = line
    (folder / TRIALS).write_text("\n".join(lines) + "\n")


def keep_lines(folder: Path, *events: str) -> None:
    lines = (folder / TRIALS).read_text().splitlines()
    kept = [line + "\n" for line in lines if json.loads(line)["event"] in events]
    (folder / TRIALS).write_text("".join(kept))


def move_data(folder: Path) -> None:
    found_on = json.loads((folder / SETTINGS).read_text())["data_fingerprint"]
    resettle(folder, data_fingerprint=found_on | OTHER_DATA, num_trials=2)
    keep_lines(folder, "start", "result", "end")


def change_space(folder: Path) -> None:
    """Records a trial without the answers that the space asks for."""
    resettle(folder, num_trials=2)
    keep_lines(folder, "start", "result", "end")


def tear(folder: Path) -> None:
    with (folder / TRIALS).open("a") as file:
        file.write('{"event": "start", "tri')


def complete(folder: Path) -> None:
    """Stand-ins of all that a finished search leaves."""
    for name in ("report.md", "report.html", "results.csv"):
        (folder / name).touch()
    (folder / "best").mkdir()


def forget(folder: Path, *keys: str) -> None:
    settings = json.loads((folder / SETTINGS).read_text())
    kept = {name: value for name, value in settings.items() if name not in keys}
    (folder / SETTINGS).write_text(json.dumps(kept))


def rewrite_result(folder: Path, **changes: object) -> None:
    line = json.loads((folder / TRIALS).read_text().splitlines()[1])
    rewrite_line(folder, 2, json.dumps(line | changes))


def of_a_loop(folder: Path) -> None:
    own = preset_config("my_loop.py:SPACE", "default")
    references = [asdict(reference) for reference in own.references]
    resettle(folder, base_config=to_dict(own.config), references=references, space_reference="my_loop:SPACE")


SEARCHES = {
    "of-a-loop": of_a_loop,
    "baseless": lambda folder: forget(folder, "base_config"),
    "endless": lambda folder: forget(folder, "max_epochs"),
    "counted": lambda folder: resettle(folder, num_trials="6"),
    "mode": lambda folder: resettle(folder, mode="maximum"),
    "track": lambda folder: resettle(folder, track=5),
    "extra": lambda folder: resettle(folder, colour="red"),
    "deep": lambda folder: (folder / SETTINGS).write_text("[" * 100_000),
    "binary": lambda folder: (folder / SETTINGS).write_bytes(b"\xff\xfe"),
    "moved": move_data,
    "changed-space": change_space,
    "other-space": lambda folder: resettle(folder, space="depth"),
    "cut": lambda folder: (folder / SETTINGS).write_text('{"format": 3, "spa'),
    "newer": lambda folder: resettle(folder, format=9),
    "older": lambda folder: resettle(folder, format=1),
    "line": lambda folder: rewrite_line(folder, 2, '{"event": "res'),
    "foreign": lambda folder: rewrite_line(folder, 2, '{"a":1}'),
    "nested": lambda folder: rewrite_line(folder, 2, "[" * 100_000),
    "event": lambda folder: rewrite_line(folder, 2, '{"event": "pause", "trial": "t0000", "time": 1.0}'),
    "elsewhere": lambda folder: rewrite_result(folder, trial="../../victim"),
    "unknown-trial": lambda folder: rewrite_result(folder, trial="007-00000000"),
    "far": lambda folder: rewrite_result(folder, epoch=3),
    "worded": lambda folder: rewrite_result(folder, objective="good"),
    "emptied": lambda folder: (folder / TRIALS).write_text(""),
    "nothing": lambda folder: keep_lines(folder, "start"),
    "lost": lambda folder: shutil.rmtree(folder / "checkpoints"),
    "gpu": lambda folder: resettle(
        folder, resources={"concurrent": 1, "cpus_per_trial": 1.0, "gpus_per_trial": 1.0, "ranks_per_trial": 1}
    ),
    "confirmed": lambda folder: (folder / "confirm.jsonl").write_text('{"trial": "000\n'),
    "torn": tear,
    "whole": complete,
    "running": lambda folder: None,
}
