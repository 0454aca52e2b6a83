"""The trials of a study that have ended since the last look, at a cost that does not grow with those before them."""

from optuna import Study
from optuna.trial import FrozenTrial


class EndedTrials:
    """A cursor over one study, whose trials end in another order than they begin."""

    def __init__(self) -> None:
        self._num_seen = 0
        self._open: list[int] = []

    def look(self, study: Study) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Those that are newly ended, and all that are still open, both by number."""
        trials = study.get_trials(deepcopy=False)
        unknown = [*(trials[number] for number in self._open), *trials[self._num_seen :]]
        ended = [trial for trial in unknown if trial.state.is_finished()]
        still_open = [trial for trial in unknown if not trial.state.is_finished()]
        self._num_seen, self._open = len(trials), [trial.number for trial in still_open]
        return ended, still_open
