"""The sampler `forecast`: configurations with the largest expected improvement at full length.

What: one prediction from the values at all rungs and the last of each running trial. New candidates are drawn anywhere
and near the best predicted trials, and sorted by their expected improvement over every trial that began. The first 20
are random. `Forecast` is what the scheduler `asha` shares its rungs with; `ForecastSampler` has rungs of its own, at
which no trial waits.
Source: expected improvement at the full budget (Jones, Schonlau, Welch, "Efficient Global Optimization", 1998,
https://doi.org/10.1023/A:1008306431147); measured by `python -m benchmarks.replay`.
Cost: 10 to 30 ms per decision after 1000 trials. Off: `--sampler random`.
"""

import heapq
import random
from collections.abc import Iterable, Mapping, Sequence

from tuner.policy.candidates import Candidate, CandidatePool, CandidateSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.promotion_rungs import PromotionRungs
from tuner.policy.samplers.prediction import GaussianProcessPredictor, Prediction, Predictor
from tuner.policy.samplers.sampler import Sampler

STARTUP_VALUES = 20
"""Values needed before the prediction proposes or promotes."""
NUM_GOOD = 5
"""Number of best-predicted trials near which new configurations are drawn."""
MAX_CONTENDERS = 200
"""The best trials of a rung, and the best waiting there, that get a prediction: bounds the time of a decision. Trials
behind so many are not promoted."""


def startup_values(num_trials: int | None) -> int:
    """Half as many as trials where those are few."""
    return STARTUP_VALUES if num_trials is None else min(STARTUP_VALUES, num_trials // 2)


class Forecast:
    """The trials of a search, what is predicted of them, and the candidates that this prefers.

    Args:
        rungs: their values; whoever changes them calls `refit` or `forget`.
    """

    def __init__(self, pool: CandidatePool, rungs: PromotionRungs, predictor: Predictor, *, startup: int) -> None:
        self._pool, self._rungs, self._predictor, self._startup = pool, rungs, predictor, startup
        self._candidates: dict[str, Candidate] = {}
        self.contenders: set[str] = set()
        """Trials that may win."""
        self._prediction: Prediction | None = None

    def add(self, trial: str, candidate: Candidate) -> None:
        self._candidates[trial] = candidate
        self.contenders.add(trial)
        self._predictor.add(trial, candidate)

    def refit(self, *, at_once: bool = False) -> None:
        """The rungs have changed: fits to their values if these are enough, or `at_once`."""
        if at_once or self._rungs.num_values >= self._startup:
            self._predictor.fit(self._rungs)
        self.forget()

    def forget(self) -> None:
        """Trials or values have changed."""
        self._prediction = None

    def predicted(self) -> Mapping[str, float]:
        """Values at full length by trial, higher is better, of the best measured trials that may win."""
        prediction = self._predict()
        return {} if prediction is None else prediction.predicted

    def most_promising(self, waiting: Sequence[str]) -> str | None:
        """By expected improvement, not by prediction: far from full length all is uncertain, and without promotions
        that uncertainty would attract new trials forever. None where none is predicted."""
        prediction = self._predict()
        if prediction is None:
            return None
        predicted = prediction.predicted
        waiting = [trial for trial in waiting if trial in predicted]
        if not waiting:
            return None
        gains = prediction.improvement(waiting)
        return max(zip(waiting, gains, strict=True), key=lambda pair: (pair[1], predicted[pair[0]]))[0]

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        """Candidates, the best first; empty before there is a prediction."""
        prediction = None if self._rungs.num_values < self._startup else self._predict()
        if prediction is None or not prediction.predicted:
            return ()
        best = heapq.nlargest(NUM_GOOD, prediction.predicted, key=prediction.predicted.__getitem__)
        near = [self._candidates[trial] for trial in best]
        return prediction.best_first(self._pool.draw(len(self._candidates), generator, near=near))

    def _predict(self) -> Prediction | None:
        """Computed once after each change; None before the first value."""
        if self._prediction is None:
            leading = self._rungs.leading(MAX_CONTENDERS) & self.contenders
            measured = [trial for trial in self._candidates if trial in leading]
            if measured:
                self._prediction = self._predictor.predict(self._rungs, measured)
        return self._prediction


class ForecastSampler(Sampler):
    """The forecast under a scheduler at whose rungs no trial waits, so none pauses."""

    def __init__(self, source: CandidateSource, config: HalvingConfig) -> None:
        super().__init__(source)
        self._config = config
        self._rungs = PromotionRungs(
            config.rung_epochs, max_epochs=config.max_epochs, reduction_factor=config.reduction_factor
        )
        predictor, startup = GaussianProcessPredictor(config.max_epochs), startup_values(config.num_trials)
        self._forecast = Forecast(source.pool(config.seed), self._rungs, predictor, startup=startup)
        self._last_values: dict[str, float] = {}

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        return self._forecast.draw(generator)

    def start(self, trial: str, candidate: Candidate) -> None:
        self._forecast.add(trial, candidate)
        self._rungs.start(trial)
        self._forecast.refit()

    def report(self, trial: str, *, epoch: int, value: float) -> None:
        better = self._last_values[trial] = self._config.sign * value
        has_arrived = self._rungs.report(trial, epoch=epoch, value=better)
        if has_arrived and epoch < self._config.max_epochs:
            self._rungs.promote(trial)
        if has_arrived or epoch in self._rungs.epochs:
            self._forecast.refit()
        else:
            self._forecast.forget()

    def end(self, trial: str, outcome: Outcome) -> None:
        self._rungs.end_with(trial, outcome, last=self._last_values.get(trial))
        if not outcome.may_win:
            self._forecast.contenders.discard(trial)
        self._forecast.refit()
