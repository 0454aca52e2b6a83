"""Checks a search that is about to start or to continue, before Ray starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from search_spaces.pinning import NUM_DRAWS
from search_spaces.space import longest_warmup_fraction, warmup_ends_by
from search_spaces.stub_trials import ends_or_inside, given_or_middle
from trainable.config import flat_params, sections_of
from trainable.configuration.reference import activate
from trainable.configuration.run_config import RunConfig
from trainable.reporting.output_folder import check_writable
from trainable.reporting.tracking import check_trackers
from trainable.run_setup import chosen_device, open_data
from trainable.techniques.memory import MemoryShortage
from trainable.workloads.limits import first_over
from trainable.workloads.registry import get_workload, read_config
from tuner import formatting
from tuner.planning.changed_space import check_space
from tuner.planning.plan import Plan
from tuner.records import SETTINGS, read_search
from tuner.records.lock import is_in_use
from tuner.settings import SearchSettings


def check_folder(folder: Path) -> None:
    """Raises ValueError when a new search can't use this folder."""
    if (folder / SETTINGS).exists():
        if is_in_use(folder):
            raise ValueError(f"{folder} holds a search that is running; give another --name.")
        raise ValueError(
            f"{folder} already holds a search; continue with --resume {formatting.argument(folder)}, or give another "
            "--name."
        )
    check_writable(folder, "--storage")


def check_configurations(plan: Plan, pinned: Mapping[str, object], ranges: Mapping[str, object] | None = None) -> None:
    """Raises ValueError when a configuration can't be trained with the pinned values and the user's ranges.

    The default, the recommended and the default at each end of each range are built, all others checked unbuilt.
    """
    workload, given = get_workload(plan.base.workload), {**pinned, **(ranges or {})}
    try:
        first = [given_or_middle(point) for point in (*plan.points_to_evaluate, *plan.pinned_space.points_at_ends())]
        for trial in first:
            workload.check(plan.config_of(trial))
        trials = [*map(ends_or_inside, range(NUM_DRAWS)), *first]
        configs = [plan.config_of(trial) for trial in trials]
    except (ValueError, MemoryShortage) as error:
        fixed = " ".join(f"--set {name}={value}" for name, value in given.items())
        raise ValueError(f"With {fixed or 'these settings'} there are trials that can't be trained: {error}") from error
    of_all = {name: value for name, value in pinned.items() if name not in plan.pins}
    for trial, config in zip(trials, configs, strict=True):
        _check_pins_hold(of_all | plan.pinned_space.pins_used_by(trial), config)
        _check_warmup(config, plan.rungs, given)


def _check_pins_hold(pins: Mapping[str, object], config: RunConfig) -> None:
    became = flat_params(config) | {name: getattr(config, name) is not None for name in sections_of(config)}
    for name, value in became.items():
        if name in pins and pins[name] != value:
            raise ValueError(
                f"--set {name}={pins[name]} has no effect: other parameters make it {value}; fix those instead "
                "(--list names them)."
            )


def _check_warmup(config: RunConfig, rungs: Sequence[int], given: Mapping[str, object]) -> None:
    """Raises ValueError for a warm-up past the first rung, where trials would be compared too early."""
    fraction, max_epochs = config.warmup_fraction, config.max_epochs
    if not rungs or warmup_ends_by(rungs[0], warmup_fraction=fraction, max_epochs=max_epochs):
        return
    longest = longest_warmup_fraction(rungs[0], max_epochs=max_epochs)
    is_given = "warmup_fraction" in given
    whose = "--set warmup_fraction=" if is_given else "A trial of this space with warmup_fraction="
    advice = f"give at most {longest:g}" if is_given else f"give --set warmup_fraction={longest:g} or less"
    length = formatting.count(fraction * max_epochs, "epoch")
    raise ValueError(
        f"{whose}{fraction:g} warms up for {length}, past the first rung at epoch {rungs[0]}; "
        f"{advice}, or --scheduler none."
    )


def check_limits(plan: Plan, settings: SearchSettings) -> None:
    """Raises ValueError when the default configuration breaks a limit, or one can't be measured here."""
    if not settings.limits:
        return
    device = chosen_device(settings.device or "auto")
    if "peak_gib" in settings.limits and device.type != "cuda":
        raise ValueError(f"--limit peak_gib applies to CUDA devices, and the trials train on {device}; leave it out.")
    workload, default = get_workload(plan.base.workload), plan.first_configs[0]
    data = open_data(default, plan.data_fingerprint)
    over = first_over(settings.limits, workload.measure(default, data, device, settings.limits))
    if over is not None:
        raise ValueError(
            f"The default configuration has {over['quantity']} {over['measured']:.4g}, above --limit "
            f"{over['quantity']}={over['limit']:g}; give a higher limit, or a smaller default with --set."
        )


def check_continuation(
    folder: Path, *, space: str | None = None, is_extended: bool = False, seconds: float | None = None
) -> None:
    """Raises ValueError when there is no search to continue, it is finished, its time is used up, or its data or space
    has changed.

    Args:
        is_extended: it gets more trials, and so must be finished.
        seconds: total run time of the search, over its sessions; None is no limit.
    """
    search = read_search(folder, space=space)
    if is_extended and search.is_unfinished:
        raise ValueError(f"{folder} is not finished; continue with --resume alone, and add --trials when it is.")
    # An extension may have been interrupted before its first event.
    if not is_extended and search.is_finished and not search.is_unfinished:
        ended, asked = len(search.trials), formatting.count(search.settings.num_trials, "trial")
        raise ValueError(
            f"{folder} is finished, {ended} of {asked} ended; read its report.md, add 20 trials with "
            "--trials +20, or start a new search under another --name."
        )
    if seconds is not None and seconds <= search.search_seconds and (is_extended or search.is_unfinished):
        raise ValueError(
            f"--time-budget is {seconds:g} s over all sessions, and {folder} has used {search.search_seconds:.0f} s; "
            "give more, or leave it out."
        )
    check_trackers(search.settings.track)
    activate(search.settings.references)
    open_data(read_config(search.settings.base_config), search.settings.data_fingerprint)
    check_space(folder, search)
