"""The sections of a report, in Markdown; each is a function of the records."""

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from trainable.configuration.reference import Reference
from tuner import formatting
from tuner.formatting import counts_in_words, warning_of_few
from tuner.records import SearchRecord, TrialRecord
from tuner.results import progress
from tuner.results.differences import both_in_words, value_in_words
from tuner.selection import in_search
from tuner.selection.comparison import Confirmation
from tuner.selection.selected_trial import SelectedTrial

LEFT_OUT = (
    *("format", "base_config", "image_size_px", "first_answers", "pins", "situation", "space_ranges"),
    *("class_counts", "data_findings"),
)
"""Settings that are too long for a table, only for machines, or shown elsewhere."""
_CODE_SPAN = re.compile(r"(`+)(?!`)(?:(?!\1).)*\1")


def result_section(
    search: SearchRecord,
    confirmations: Sequence[Confirmation],
    selected: SelectedTrial | None,
    *,
    is_running: bool = False,
    interruption: str | None = None,
    nothing_learned: str | None = None,
) -> str:
    """The title, what is exported and its evidence; what led the search on one seed is a remark below it.

    That the search was interrupted comes before all, then that nothing was learned.
    """
    settings = search.settings
    title = f"# Search `{settings.space}`, {settings.name}"
    title += "".join(f"\n\n**{warning}**" for warning in (interruption, nothing_learned) if warning is not None)
    is_over = interruption is None and not is_running
    evidence = [] if selected is None else selected.evidence(is_over=is_over, is_running=is_running)
    if selected is not None and selected.trial is search.default_trial:
        # No trial is claimed to beat it; what the others had on the test split is the evidence.
        evidence = [*(one.sentence for one in confirmations), *evidence]
    headline = "No trial has a value to compare; the table below says how each ended."
    if selected is not None:
        headline = _on_one_seed(search, selected) if selected.choice is None else selected.choice.sentence
    parts = [title, f"**{headline}**", *evidence, warning_of_few(settings.images)]
    return "\n\n".join(part for part in parts if part)


def _on_one_seed(search: SearchRecord, selected: SelectedTrial) -> str:
    """Sentence that compares the exported trial with the default within the search."""
    trial, comparison, result = selected.trial, selected.in_search, selected.trial.last_result
    value = formatting.number(result.objective)
    best = f"`{search.settings.metric}` {value} at epoch {result.epoch} on the validation split"
    if comparison is None:
        return f"Trial {trial.name} is the best, with {best}; the default configuration was not measured."
    if trial is comparison.default:
        return f"The default configuration is the best, with {best}."
    if comparison.epoch < result.epoch:
        there = f"{formatting.number(comparison.value)}, default {formatting.number(comparison.default_value)}"
        early = f"at epoch {comparison.epoch}, where the default ended, it had {there}"
        return f"Trial {trial.name} is the best, with {best}; {early}."
    gain, default = formatting.gain(comparison.gain), formatting.number(comparison.default_value)
    return f"Trial {trial.name} is {gain} than the default configuration: {best}, default {default}."


WORDS = {
    "num_trials": "trials asked for",
    "max_epochs": "epochs of a full training",
    "rung_epochs": "rungs, at epochs",
    "reduction_factor": "a rung keeps",
    "confirm": "trials confirmed beside the default",
    "confirm_seeds": "seeds of each confirmed trial",
    "stated_seconds": "time stated with --for",
    "duration_seconds": "time for search and confirmation when it started",
    "disk_budget_bytes": "disk space for checkpoints",
    "data_fingerprint": "sha256 of the data, first 16 digits",
    "references": "own code, first 16 digits of its sha256",
    "pinned": "fixed by --set",
    "ranges": "searched as --set says",
    "warm_start": "starts from the search",
    "track": "trackers",
    "store": "copied to",
}
"""Labels of settings whose names are not clear by themselves."""


def settings_rows(search: SearchRecord) -> list[tuple[str, str]]:
    """Rows of the settings, given and chosen, with units."""
    settings = search.settings
    stated, seconds, disk = settings.stated_seconds, settings.duration_seconds, settings.disk_budget_bytes
    pauses, gaps = None, progress.idle_gaps(search)
    if gaps:
        changes = formatting.count(len(gaps), "change")
        pauses = (
            f"median {statistics.median(gaps):.2f} s, at most {max(gaps):.2f} s; {changes} from one trial to the next"
        )
    shown = {name: value for name, value in asdict(settings).items() if name not in LEFT_OUT} | {
        "resources": str(settings.resources),
        "reduction_factor": f"1 in {settings.reduction_factor}",
        "stated_seconds": None if stated is None else formatting.duration(stated),
        "duration_seconds": None if seconds is None else formatting.duration(seconds),
        "disk_budget_bytes": None if disk is None else f"{disk / 1e9:.3g} GB",
        "data": settings.data or ("embedded" if settings.images else "the loop's own"),
        "data_fingerprint": settings.data_fingerprint.get("all", "")[:16] or None,
        "confirm_seeds": str(settings.confirm_seeds),
        "references": [_reference(one) for one in settings.references],
        "ranges": {name: one.in_words for name, one in settings.ranges.items()},
        "images": counts_in_words(settings.images, settings.image_size_px),
        **_network(search),
        "time of the search": formatting.duration(search.search_seconds),
        "precision in effect": sorted(progress.precisions(search)),
        "pause between two trials": pauses,
    }
    return [
        (WORDS.get(name, name.replace("_", " ")), _setting(value))
        for name, value in shown.items()
        if value not in (None, {}, [], ())
    ]


def _reference(code: Reference) -> str:
    imported = "".join(f", with {Path(one.path).name} {one.sha256[:16]}" for one in code.imports or ())
    return f"{code.text} in {code.file} {code.sha256[:16]}{imported}"


def _network(search: SearchRecord) -> dict[str, str | None]:
    """Network and initial weights of all trials, unless a parameter changes them."""
    model, first = search.settings.base_config.get("model"), search.settings.base_config.get("init_weights")
    if not isinstance(model, dict):
        return {}
    fixed = " with the statistics of BatchNorm frozen" if model.get("freeze_batch_norm") else ""
    weights = first or model.get("weights")
    network = model.get("network") or model.get("backbone")
    return {
        "network": None if network is None else str(network),
        "starts from": None if weights is None else f"{weights}{fixed}",
    }


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_setting(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_setting, value))
    return formatting.parameter(value)


def exported_section(search: SearchRecord, selected: SelectedTrial | None) -> str:
    """Section on the exported trial: how it was chosen, its epochs, and its differences from the default."""
    if selected is None:
        return ""
    how = _chosen_on_one_seed(search, selected.trial) if selected.choice is None else _chosen_on_seeds(search, selected)
    epoch, last = selected.epoch, selected.trial.last_result.epoch
    weights = f"Its exported weights are those of epoch {epoch}; it ended at epoch {last}."
    default = search.default_trial
    differences = "" if default is None else _parameters(selected.trial, default)
    return "\n\n".join(part for part in ("## The exported trial", f"{how} {weights}", differences) if part)


def _chosen_on_one_seed(search: SearchRecord, trial: TrialRecord) -> str:
    epoch = search.comparison_epoch or 0
    number = len(search.measured_at(epoch))
    if number == 1:
        return f"Trial {trial.name} is the only one measured at epoch {epoch}, the highest epoch reached."
    return (
        f"Trial {trial.name} has the best `{search.settings.metric}` of the {number} trials measured at epoch {epoch}, "
        "the highest epoch reached; a trial that plateaued before counts with its last value. Because it was chosen on "
        "the validation split, it is likely to be slightly worse on new data."
    )


def _chosen_on_seeds(search: SearchRecord, selected: SelectedTrial) -> str:
    comparison, value = selected.in_search, formatting.number(selected.trial.last_result.objective)
    beside = ""
    if comparison is not None and comparison.trial is not comparison.default:
        beside = f", {formatting.gain(comparison.gain)} than the default at epoch {comparison.epoch}"
    return (
        "It was chosen on the validation split; the test split only judges it. In the search, on one seed, it had "
        f"`{search.settings.metric}` {value} at its last epoch{beside}."
    )


def _parameters(trial: TrialRecord, default: TrialRecord) -> str:
    if trial is default:
        own = [(formatting.code(name), formatting.parameter(value)) for name, value in trial.params.items()]
        return table(("parameter", "default"), own)
    names = list(dict.fromkeys([*default.params, *trial.params]))
    differing = [name for name in names if default.params.get(name, "") != trial.params.get(name, "")]
    rows = [(formatting.code(name), *both_in_words(default, trial, name)) for name in differing]
    same = ", ".join(
        f"{formatting.code(name)} {_cell(value_in_words(trial, name))}" for name in names if name not in differing
    )
    difference = table(("parameter", "default", f"trial {trial.name}"), rows)
    return difference + (f"\n\nThe same in both: {same}." if same else "")


def confirmations_section(search: SearchRecord, confirmations: Sequence[Confirmation]) -> str:
    """Each confirmed configuration compared with the default, by seed."""
    if not confirmations:
        return ""
    parts = ["## Test split", f"`{search.settings.metric}` after full training, on data that the search never saw."]
    for confirmation in confirmations:
        parts += [_seeds(confirmation), confirmation.sentence]
    return "\n\n".join(parts)


def _seeds(confirmation: Confirmation) -> str:
    both = (confirmation.default_values, confirmation.values)
    failed = (confirmation.default_failed, confirmation.failed)
    seeds = sorted({*both[0], *both[1], *failed[0], *failed[1]})
    rows = [
        (
            f"seed {seed}",
            *(
                "failed" if seed in own else formatting.number(values.get(seed))
                for values, own in zip(both, failed, strict=True)
            ),
        )
        for seed in seeds
    ]
    last = ["mean ± standard deviation"]
    for measured in both:
        values = list(measured.values())
        mean = formatting.number(statistics.fmean(values) if values else None)
        last.append(f"{mean} ± {formatting.number(statistics.stdev(values))}" if len(values) > 1 else mean)
    return table(("", "default", f"trial {confirmation.trial}"), [*rows, last])


def trials_section(search: SearchRecord, exported: TrialRecord | None) -> str:
    """One row per trial; the exported one is bold."""
    rows = [_trial_row(search, trial, exported) for trial in search.trials]
    header = ("trial", "epochs", f"last `{search.settings.metric}`", "best", "time", "ending")
    if not rows:
        return "## Trials\n\nNo trial has started."
    counts = ", ".join(f"{quantity} {ending}" for ending, quantity in progress.count_endings(search.trials).items())
    beside = "Their parameters are in `results.csv`, their curves in `report.html`."
    return f"## Trials\n\n{counts}. {beside}\n\n{table(header, rows)}"


def _trial_row(search: SearchRecord, trial: TrialRecord, exported: TrialRecord | None) -> tuple[str, ...]:
    best = in_search.best_epoch(search, trial)
    name = f"**{trial.name}**" if trial is exported else trial.name
    return (
        f"{name} (default)" if trial is search.default_trial else name,
        str(trial.last_epoch),
        formatting.number(trial.last.objective if trial.last else None),
        formatting.number(None if best is None else trial.objective_at(best)),
        formatting.duration(sum(result.seconds for result in trial.results.values())),
        trial.sentence,
    )


def next_steps_section(search: SearchRecord, folder: Path, *, is_confirmed: bool) -> str:
    place = formatting.argument(formatting.path(folder))
    steps = [
        ("Export its configuration and weights", f"python -m tuner.export {place}"),
        ("Retrain it without Ray and compare the curves", f"python -m tuner.export {place} --verify"),
        ("Train it for any number of epochs", f"python -m trainable.train --config {place}/best/config.json"),
        ("Show every metric of every trial", f"tensorboard --logdir {place}/tensorboard"),
    ]
    if not is_confirmed:
        steps.insert(0, ("Score it on the test split", f"python -m tuner.confirm {place}"))
    if search.is_unfinished:
        steps.insert(0, ("Continue the search", f"python -m tuner.search --resume {place}"))
    lines = [f"# {words}\n{command}" for words, command in steps]
    return "## Next steps\n\n```\n" + "\n".join(lines) + "\n```"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """Escapes text for a table cell of Markdown: one line, no bars or HTML; a whole code span is kept."""
    text = formatting.one_line(text).replace("|", "\\|")
    return text if _CODE_SPAN.fullmatch(text) else text.replace("<", "\\<")
