"""The proposer and the scheduler of each policy."""

from typing import Any

from trainable.ray_trainable import OBJECTIVE
from tuner.cluster import Slots
from tuner.plan import Plan
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.scheduler import StoppingScheduler
from tuner.settings import SearchSettings
from tuner.study_mirror import FILE as STUDY_FILE
from tuner.study_mirror import StudyMirror

ENDLESS = -1
"""Ray's word for as many trials as are proposed."""


def pair_of(
    settings: SearchSettings, plan: Plan, slots: Slots, recorder: Recorder, *, num_new: int
) -> tuple[Any, Any, dict]:
    """Proposer, scheduler, and what Ray is to limit; `num_new` trials are still to begin."""
    return _PAIRS[settings.policy](settings, plan, slots, recorder, num_new)


def _stopping(
    settings: SearchSettings, plan: Plan, slots: Slots, recorder: Recorder, num_new: int
) -> tuple[Any, Any, dict]:
    sampler = "random" if settings.policy == "random" else "tpe"
    proposer = Proposer(**_proposing(settings, plan, recorder), sampler=sampler)
    scheduler = StoppingScheduler(
        recorder,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        is_spared=recorder.is_default,
    )
    return proposer, scheduler, {"num_samples": num_new, "max_concurrent_trials": slots.concurrent}


def _promoting(
    settings: SearchSettings, plan: Plan, slots: Slots, recorder: Recorder, num_new: int
) -> tuple[Any, Any, dict]:
    """The proposer itself counts slots and trials, and says when the search is over."""
    proposer = PromotingProposer(
        **_proposing(settings, plan, recorder),
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        slots=slots.concurrent,
        num_trials=settings.num_trials,
    )
    return proposer, PromotingScheduler(proposer, recorder), {"num_samples": ENDLESS}


_PAIRS = {"asha": _stopping, "random": _stopping, "promote": _promoting}


def _proposing(settings: SearchSettings, plan: Plan, recorder: Recorder) -> dict[str, Any]:
    """What every proposer is told."""
    return {
        "space": plan.pinned,
        "metric": OBJECTIVE,
        "mode": plan.space.mode,
        "max_epochs": plan.max_epochs,
        "seed": settings.seed,
        "enqueue": plan.first_points,
        "mirror": StudyMirror(recorder.folder / STUDY_FILE, study_name=recorder.folder.name),
    }
