"""A search made up of plausible learning curves: what a results folder looks like, without any training."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces.space import Situation
from trainable.config import from_params, to_dict
from trainable.leg import checkpoint_name
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import current_versions
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Consequences
from tuner.policy.samplers.sampler import RandomSampler
from tuner.policy.schedulers.stopping import StoppingPolicy
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial
from tuner.records import Execution, RecordedSettings, Recorder, TrialResources, trial_name
from tuner.records.checkpoints import remove_others, trial_folder
from tuner.records.settings import FORMAT

SETTINGS = RecordedSettings(
    format=FORMAT,
    version="0.2",
    commit=None,
    name="spring",
    space="moe",
    objective="val/s_measure",
    mode="max",
    scheduler="asha-stopping",
    sampler="tpe",
    num_trials=40,
    max_epochs=12,
    rung_epochs=(3, 6),
    reduction_factor=2,
    seed=0,
    confirm=0,
    resources=TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0),
    data="camouflage scenes",
    data_fingerprint={"train": "ab" * 32, "validation": "cd" * 32, "test": "ef" * 32, "all": "01" * 32},
    images={"train": 400, "validation": 80, "test": 80},
    image_size_px=(240, 240),
    pinned={"batch_size": 16},
    pins={},
    situation=Situation(num_train_images=400, pretrained=False),
    first_answers=({},),
    warm_start=None,
    base_config=to_dict(get_task("moe").default_config()) | {"max_epochs": 12},
    versions={"python": "3.11", "torch": "2.15.0", "ray": "2.60.0"},
)


def recorded_settings(**changes) -> RecordedSettings:
    """Plausible settings of a search, but for these; what follows from them follows."""
    max_epochs = changes.get("max_epochs", SETTINGS.max_epochs)
    scheduler = changes.get("scheduler", SETTINGS.scheduler)
    rungs = () if scheduler == "none" else SETTINGS.rung_epochs
    suited = {
        "sampler": "random" if scheduler == "none" else SETTINGS.sampler,
        "rung_epochs": tuple(epoch for epoch in rungs if epoch < max_epochs),
        "base_config": SETTINGS.base_config | {"max_epochs": max_epochs},
    }
    return replace(SETTINGS, **suited | changes)


DEFAULTS = {"max_lr": 3e-3, "weight_decay": 0.01, "num_experts": 4, "top_k": 2, "averaging": "off", "aug_maximum": 0.3}


class SyntheticSearch(SimulatedSearch):
    """Records a search in virtual time, with stopping rungs and curves whose level depends on the parameters."""

    def __init__(self, folder: Path, **changed_settings) -> None:
        self.settings = settings = recorded_settings(**changed_settings)
        slots = min(settings.resources.concurrent, settings.num_trials)
        config = HalvingConfig(
            rung_epochs=settings.rung_epochs,
            max_epochs=settings.max_epochs,
            reduction_factor=settings.reduction_factor,
            mode=settings.mode,
            slots=slots,
            seed=settings.seed,
            num_trials=settings.num_trials,
        )
        # The policy knows each configuration by a number alone; its parameters are drawn when it starts.
        source = SpaceSource(lambda trial: {"number": trial.suggest_float("number", 0.0, 1.0)})
        super().__init__(
            StoppingPolicy(RandomSampler(source), config, first=[source.of({"number": 0.0})]),
            slots=slots,
            max_epochs=settings.max_epochs,
            value=lambda trial: self.value_of(self.params[trial.number], trial.epoch),
            seconds=lambda trial, begins: (
                self.seconds_of(self.params[trial.number]) + self._start_seconds(trial) * begins
            ),
        )
        self.recorder = Recorder.create(folder, settings, clock=lambda: self.now)
        self.recorder.open_session()
        self.generator = np.random.default_rng(settings.seed)
        self.params: list[dict] = []

    def next_work(self) -> SimulatedTrial | None:
        trial = super().next_work()
        if trial is not None:
            self.params.append(self.sample(trial.number))
            name, params = self.recorded_name(trial), self.params[trial.number]
            self.recorder.start(name, params=params, answers=params)
        return trial

    def take(self, trial: SimulatedTrial, value: float) -> Consequences:
        name, epoch, params = self.recorded_name(trial), trial.epoch, self.params[trial.number]
        if math.isfinite(value):
            metrics = self._metrics(params, epoch, value)
            self.recorder.result(name, epoch=epoch, objective=value, metrics=metrics, seconds=self.seconds_of(params))
        consequences = super().take(trial, value)
        for decision in consequences.decisions:
            self.recorder.decision(name, decision)
        if consequences.outcome is not None:
            numbers = self._numbers(consequences, epoch, value)
            self.recorder.end(name, consequences.outcome, numbers=numbers, epoch=epoch)
        return consequences

    def recorded_name(self, trial: SimulatedTrial) -> str:
        return trial_name(trial.number, self.params[trial.number])

    def sample(self, number: int) -> dict:
        if number == 0:
            return dict(DEFAULTS)
        draw = self.generator
        params = {
            "max_lr": float(10 ** draw.uniform(-3.5, -1.5)),
            "weight_decay": float(10 ** draw.uniform(-4, -1)),
            "num_experts": int(draw.integers(2, 9)),
            "top_k": int(draw.integers(1, 3)),
            "averaging": str(draw.choice(["off", "ema"])),
            "aug_maximum": float(draw.uniform(0, 0.9)),
        }
        return params | ({"ema_decay": float(draw.uniform(0.9, 0.999))} if params["averaging"] == "ema" else {})

    def _numbers(self, consequences: Consequences, epoch: int, value: float) -> dict:
        if consequences.outcome is Outcome.DIVERGED:
            return {"epoch": epoch, "step": 31, "term": "loss", "value": math.nan}
        if consequences.outcome is Outcome.COMPLETED:
            return {"epoch": epoch, "objective": value}
        (decision,) = consequences.decisions
        return {name: getattr(decision, name) for name in ("rung", "epoch", "value", "cutoff", "rank", "of")}

    def value_of(self, params: dict, epoch: int) -> float:
        """High learning rates diverge in epoch 2."""
        if params["max_lr"] > 0.02 and epoch == 2:
            return math.nan
        level = 0.83 - 0.1 * math.log10(params["max_lr"] / 8e-3) ** 2 - 0.06 * params["aug_maximum"] ** 2
        level -= 0.01 * abs(params["num_experts"] - 5)
        return float(level - 0.38 * math.exp(-epoch / 3.0) + self.generator.normal(0, 0.008))

    def _metrics(self, params: dict, epoch: int, value: float) -> dict:
        usage = self.generator.dirichlet(np.linspace(1, 3 + epoch, params["num_experts"]) * 8)
        return {
            "val/s_measure": value,
            "train/loss": 1.4 - value,
            "train/lr": params["max_lr"],
            "aug_strength": 0.1,
            **{f"moe/usage_{expert}": float(share) for expert, share in enumerate(usage)},
        }

    def _start_seconds(self, trial: SimulatedTrial) -> float:
        """The first trials wait for their processes."""
        return 3.0 if trial.number < self._slots else 0.2

    def seconds_of(self, params: dict) -> float:
        return 0.8 + 0.05 * params["num_experts"]


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory):
    """The results of a search of forty trials; not to be changed."""
    folder = tmp_path_factory.mktemp("results") / "moe" / "finished"
    synthetic = SyntheticSearch(folder, seed=1)
    synthetic.run()
    synthetic.recorder.close_session()
    synthetic.recorder.close()
    return folder


@pytest.fixture
def synthetic_search(tmp_path):
    """A function that begins one under the test's own folder."""
    begun = []

    def begin(name: str = "run", **changed_settings) -> SyntheticSearch:
        begun.append(SyntheticSearch(tmp_path / "results" / "moe" / name, **changed_settings))
        return begun[-1]

    yield begin
    for synthetic in begun:
        synthetic.recorder.close()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, disc_config):
    """The results of three real trainings on the discs, recorded as a search does; not to be changed.

    Trial 0 is the default, trial 1 the winner, with averaged weights; trial 2 was cut off after two epochs.
    """
    plain = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "augmentation": False}
    trials = [
        {"max_lr": 3e-4, "num_experts": 4, "top_k": 2},
        plain | {"max_lr": 1e-2, "averaging": True},
        plain | {"max_lr": 3e-2},
    ]
    folder = tmp_path_factory.mktemp("results") / "moe" / "discs"
    record_search(folder, disc_config, trials, num_epochs=[3, 3, 2], rung_epochs=(1, 2))
    return folder


@pytest.fixture(scope="session")
def trained_search():
    """A function that trains a few configurations and records them as a search does."""
    return record_search


def record_search(folder, base, trials, *, num_epochs, **settings):
    """One training for each of `trials`, parameters over `base`, of so many of its epochs.

    A trial of fewer epochs than `base` has no end on record, as after a kill.
    """
    task = get_task(base.workload)
    splits = task.open_data(base)
    settings |= {"space": base.workload, "name": folder.name, "data": base.data.source, "objective": task.objective}
    settings |= {"num_trials": len(trials), "max_epochs": base.max_epochs, "base_config": to_dict(base)}
    settings |= {"data_fingerprint": splits.fingerprint, "versions": current_versions() | {"ray": "2.60.0"}}
    recorder = Recorder.create(folder, recorded_settings(**settings))
    recorder.open_session()
    for number, (params, epochs) in enumerate(zip(trials, num_epochs, strict=True)):
        record_training(recorder, splits, base, number=number, params=params, num_epochs=epochs)
    recorder.close_session()
    recorder.close()


def record_training(recorder, splits, base, *, number, params, num_epochs):
    trial = trial_name(number, params)
    recorder.start(trial, params=params, answers=params)
    run = TrainingRun(from_params(params, base), splits)
    place = trial_folder(recorder.folder, trial)
    place.mkdir(parents=True)
    for epoch in range(1, num_epochs + 1):
        result = run.run_epoch()
        run.save(place / checkpoint_name(epoch))
        recorder.result(
            trial,
            epoch=epoch,
            objective=result.objective,
            metrics=result.metrics,
            seconds=result.seconds,
            execution=Execution(precision=result.precision),
        )
        remove_others(recorder.folder, trial, epoch)
    if run.ending is not None:
        numbers = {"epoch": num_epochs, "objective": result.objective}
        recorder.end(trial, Outcome.COMPLETED, numbers=numbers, epoch=num_epochs)
