"""The proposer and the scheduler of each policy."""

from typing import Any

from trainable.ray_trainable import OBJECTIVE
from tuner.cluster import Slots
from tuner.plan import Plan
from tuner.policy import Terms
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
    said = {"mode": plan.space.mode, "max_epochs": plan.max_epochs, "seed": settings.seed, "sampler": sampler}
    proposer = Proposer(plan.pinned, **said, **_known(plan, recorder))
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
    terms = Terms(
        rung_epochs=plan.rungs,
        max_epochs=plan.max_epochs,
        reduction_factor=plan.space.reduction_factor,
        mode=plan.space.mode,
        slots=slots.concurrent,
        seed=settings.seed,
        num_trials=settings.num_trials,
    )
    proposer = PromotingProposer(plan.pinned, terms, **_known(plan, recorder))
    return proposer, PromotingScheduler(proposer, recorder), {"num_samples": ENDLESS}


_PAIRS = {"asha": _stopping, "random": _stopping, "promote": _promoting}


def _known(plan: Plan, recorder: Recorder) -> dict[str, Any]:
    """What every proposer is told."""
    mirror = StudyMirror(recorder.folder / STUDY_FILE, study_name=recorder.folder.name)
    return {"metric": OBJECTIVE, "enqueue": (*plan.first_points, *(plan.everything or ())), "mirror": mirror}
