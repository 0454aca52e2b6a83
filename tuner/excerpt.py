"""What the sampler looks at in a long study: its best trials, its latest, and those that run.

What: TPE divides the ended trials into the best (a tenth, at most 25) and the rest, and compares where the two lie
densest; its time grows with the rest. Here it is shown an excerpt. The best are the same as in the whole study. The
rest is told from the latest, which Optuna gives the greatest weight anyway.
Source: own; the division is that of Bergstra, Bardenet, Bengio, Kegl, "Algorithms for Hyper-Parameter Optimization",
NeurIPS 2011, https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization.
Cost: a look at the trials that are new. Off: a study of up to `NUM_BEST + NUM_LATEST` trials is shown whole.
"""

from bisect import insort
from collections import deque
from collections.abc import Container
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.ended_trials import EndedTrials

NUM_BEST = 50
"""TPE takes no more than 25 of them for the best."""
NUM_LATEST = 250
_SHOWN = (TrialState.COMPLETE, TrialState.PRUNED)


class ExcerptTPESampler(TPESampler):
    """TPE on an excerpt of the study; everything else is Optuna's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._excerpt = Excerpt()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return super().infer_relative_search_space(self._shown(study), trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict:
        return super().sample_relative(self._shown(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return super().sample_independent(self._shown(study), trial, param_name, param_distribution)

    def _shown(self, study: Study) -> "_ShownStudy":
        return _ShownStudy(study, self._excerpt.of(study))


class Excerpt:
    """Keeps the best and the latest of one study as its trials end."""

    def __init__(self, *, num_best: int = NUM_BEST, num_latest: int = NUM_LATEST) -> None:
        self._num_best = num_best
        self._best: list[tuple[tuple, FrozenTrial]] = []
        self._latest: deque[FrozenTrial] = deque(maxlen=num_latest)
        self._ended = EndedTrials()

    def of(self, study: Study) -> list[FrozenTrial]:
        """By number: the best, the latest to end, and those that have not ended."""
        ended, still_open = self._ended.look(study)
        sign = 1.0 if study.direction is StudyDirection.MINIMIZE else -1.0
        for trial in ended:
            if trial.state in _SHOWN:
                insort(self._best, (_badness(trial, sign), trial), key=lambda pair: pair[0])
                self._latest.append(trial)
        del self._best[self._num_best :]
        chosen = {trial.number: trial for trial in (*(trial for _, trial in self._best), *self._latest, *still_open)}
        return [chosen[number] for number in sorted(chosen)]


class _ShownStudy:
    """A study whose trials are those of the excerpt."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """The one door through which TPE asks for trials."""
        return [trial for trial in self._trials if states is None or trial.state in states]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)


def _badness(trial: FrozenTrial, sign: float) -> tuple[int, float, float]:
    """TPE's own order: complete trials by value, pruned ones by how far they came, infeasible ones last."""
    violation = sum(value for value in trial.constraints.values() if value > 0)
    if violation > 0:
        return 2, violation, 0.0
    if trial.state is TrialState.COMPLETE:
        return 0, sign * trial.value, 0.0
    step, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
    return 1, -step, sign * value
