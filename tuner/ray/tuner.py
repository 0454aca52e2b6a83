"""Runs the legs of a session on a running cluster."""

import os
from collections.abc import Callable
from pathlib import Path

from ray import tune
from ray.tune.experiment import Trial as RayTrial

from trainable.configuration.run_config import RunConfig
from trainable.ray.trainable import LEG, LegTrainable
from trainable.workloads.registry import CarriedConfig
from tuner.ray.adapters import FirstError, LegScheduler, LegSearcher, SessionStopper, StepCallback
from tuner.ray.cluster import LocalNode, num_trials_with_room
from tuner.ray.cluster_nodes import ClusterNodes
from tuner.ray.temporary_folder import full_disk
from tuner.records import RecordedSettings
from tuner.session import Session

ENDLESS = -1
"""Ray's value for as many trials as the searcher suggests."""


def run_legs(
    session: Session,
    settings: RecordedSettings,
    base: RunConfig,
    *,
    scratch: Path,
    on_step: Callable[[], None],
    nodes: ClusterNodes | None = None,
) -> None:
    """Runs until nothing is left to do or the session has a reason to stop.

    Args:
        scratch: folder for Ray's own files.
        on_step: called many times a second.
        nodes: those of a running cluster; None is this machine alone.

    Raises:
        Exception: the session's first error, such as OSError if the records can't be written.
    """
    guard = FirstError(session)
    if nodes is not None:
        nodes.wait()
        _follow(nodes, session, settings)

    def step() -> None:
        on_step()
        # Ray makes the folder itself with the first trial.
        if session.stop_reason is None and (sentence := full_disk(scratch.parent)):
            session.stop(f"{sentence}, and continue with --resume.")
        if nodes is not None and nodes.has_changed():
            _follow(nodes, session, settings)

    tune.Tuner(
        _trainable(settings, base, can_move=nodes is not None),
        tune_config=tune.TuneConfig(
            search_alg=LegSearcher(guard, unfit_nodes=tuple if nodes is None else lambda: nodes.unfit),
            scheduler=LegScheduler(guard),
            num_samples=ENDLESS,
            reuse_actors=True,
            trial_name_creator=_leg_name,
            trial_dirname_creator=_leg_name,
        ),
        run_config=tune.RunConfig(
            name="legs",
            storage_path=str(scratch),
            stop=SessionStopper(guard, is_node_lost=LocalNode().is_lost),
            callbacks=[StepCallback(step)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=0),
            verbose=0,
            # Silent, as all of Tune is here; that of a notebook would clear the output of the cell.
            progress_reporter=tune.CLIReporter(),
        ),
    ).fit()
    if guard.error is not None:
        raise guard.error


def _follow(nodes: ClusterNodes, session: Session, settings: RecordedSettings) -> None:
    """Resizes the session to the trials that fit on the nodes, unless the user gave a number."""
    resources = settings.resources
    if resources.follows_cluster:
        session.resize(num_trials_with_room(resources.cpus_per_trial, resources.gpus_per_trial, nodes.resources))


def _trainable(settings: RecordedSettings, base: RunConfig, *, can_move: bool) -> type[LegTrainable]:
    """A subclass with the values that all trials share, under a name that people recognise on the dashboard."""
    resources = settings.resources
    shared = {
        "base": CarriedConfig(base, settings.references),
        "fingerprint": settings.data_fingerprint,
        "device": resources.device,
        "search": f"{settings.space}/{settings.name}",
        "cpus_per_rank": resources.cpus_per_rank,
        "gpus_per_rank": resources.gpus_per_rank,
        "ranks": resources.ranks_per_trial,
        "limits": settings.limits,
        "can_move": can_move,
    }
    return type(f"{settings.space.title().replace('_', '')}Trial", (LegTrainable,), shared)


def _leg_name(trial: RayTrial) -> str:
    """A unique folder name: a trial may have several legs."""
    leg = trial.config[LEG]
    return f"{leg.trial}{os.extsep}{trial.trial_id}" if leg.from_epoch else leg.trial
