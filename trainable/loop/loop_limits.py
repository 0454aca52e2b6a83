"""What a limit can ask of a loop's network before it is trained: the parameters of what `epochs` names as model."""

from collections.abc import Iterable

from trainable.loop.loop_error import LoopError
from trainable.loop.loop_run import MODEL, LoopRun


def measure_loop(run: LoopRun, quantities: Iterable[str]) -> dict[str, float]:
    """Calls the loop up to `epochs` and counts.

    Raises:
        ValueError: another quantity than params_m.
        LoopError: the loop fails before `epochs`, or names no model there.
    """
    for quantity in quantities:
        if quantity != "params_m":
            raise ValueError(
                f"--limit {quantity} shows images to the network, and only your loop knows which: of a loop of your "
                "own params_m alone is measured."
            )
    model = run.states_before_training().get(MODEL)
    parameters = getattr(model, "parameters", None)
    if not callable(parameters):
        raise LoopError("--limit params_m counts the parameters of model: call trial.epochs(model=...) with a network.")
    return {"params_m": sum(parameter.numel() for parameter in parameters()) / 1e6}
