"""Lasting collapse: ends a training before its budget when its mixture has become a single network for good.

What: the detector's verdict is taken after each epoch, before the response acts. A layer is lost when only as many
experts are alive as a token is sent to, so that the router has no choice left. A layer that is lost for
`patience_epochs` epochs in a row ends the training. An epoch with too little evidence, such as one of few images after
an act of the response has dropped what was counted, counts as the one before it did, but does not itself end the
training. One or two dead experts never do: many good mixtures have them. The patience is a share of the budget, and
long enough for each step of the response to be taken and to have its effect.
Source: own; the proof is that of `collapse_evidence`.
Cost: none beside the detector's, whose verdict the trainer keeps. Off: `collapse_patience_fraction=None`.
`TrainingRun` calls it, because it ends a run; a loop of your own passes it `Trainer.collapse_verdict`.
"""

from trainable.saved_state import SavedState
from trainable.techniques.experts.collapse_evidence import CollapseVerdict


class LastingCollapse(SavedState):
    """Counts for how many epochs in a row each layer was lost.

    Args:
        patience_epochs: how many of them end the training, >= 1.
        top_k: experts that a token is sent to.
    """

    saved = ("_epochs_lost", "_busiest")

    def __init__(self, patience_epochs: int, top_k: int) -> None:
        assert patience_epochs >= 1, patience_epochs
        self.patience_epochs, self.top_k = patience_epochs, top_k
        self._epochs_lost: list[int] = []
        self._busiest: list[tuple[int, float]] = []

    @property
    def has_ended(self) -> bool:
        return max(self._epochs_lost, default=0) >= self.patience_epochs

    @property
    def numbers(self) -> dict[str, float]:
        """The layer that was lost for longest, its busiest expert and its share, and the number of epochs."""
        layer = max(range(len(self._epochs_lost)), key=self._epochs_lost.__getitem__)
        expert, usage = self._busiest[layer]
        return {"layer": layer, "expert": expert, "usage": usage, "lost_epochs": self._epochs_lost[layer]}

    def observe(self, verdict: CollapseVerdict) -> None:
        """Takes the verdict of one more epoch."""
        former = self._epochs_lost or [0] * len(verdict.layers)
        self._epochs_lost, self._busiest = [], []
        for layer, count in zip(verdict.layers, former, strict=True):
            num_alive = len(layer.usage) - len(layer.dead_experts)
            # Lost: every token is sent to the same experts.
            is_lost = num_alive <= self.top_k
            pending = 0 if layer.can_tell or not count else min(count + 1, self.patience_epochs - 1)
            self._epochs_lost.append(count + 1 if is_lost else pending)
            self._busiest.append(max(enumerate(layer.usage), key=lambda item: item[1]))
