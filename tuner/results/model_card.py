"""The page beside an exported network: what it is, on what data, how good, and how to load it."""

from collections.abc import Sequence

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.results.differences import NOT_USED, both_in_words
from tuner.results.report_text import table
from tuner.selection.comparison import Confirmation
from tuner.selection.in_search import exported_result

LOADING = """from trainable.predict import TrainedModel
model = TrainedModel.read("best")                     # this folder
print(model.predict("picture.jpg").in_words())        # model.network is the torch module"""
LOADING_OF_LOOP = """import json, pathlib, torch
params = json.loads(pathlib.Path("best/config.json").read_text())["config"]["params"]
model = build(params)                                 # with your own code, as your loop does
model.load_state_dict(torch.load("best/weights.pt", weights_only=True))"""


def model_card(
    search: SearchRecord, trial: TrialRecord, confirmations: Sequence[Confirmation], left: str | None = None
) -> str:
    """The page as Markdown; what comes from a user, such as the data's name, is shown as code.

    Args:
        left: what an interrupted search did and would still do, a sentence without its stop; comes first.
    """
    settings, result = search.settings, exported_result(search, trial)
    # Of a loop of the user's own no data and no network are known.
    is_loop = not settings.images
    data, loading = ("the loop's own", LOADING_OF_LOOP) if is_loop else ("embedded, generated", LOADING)
    weights = "the state of what the loop names `model`, if it names one" if is_loop else "the weights"
    objective = settings.metric
    facts = [
        ("workload", formatting.code(str(settings.base_config["workload"]))),
        ("data", formatting.code(settings.data) if settings.data else data),
        ("images", formatting.counts_in_words(settings.images, settings.image_size_px) or "-"),
        ("fingerprint of the data", formatting.code(settings.data_fingerprint.get("all", "none")[:16])),
        (f"{objective}, validation", f"{formatting.number(result.objective)} at epoch {result.epoch}"),
        ("found by", formatting.code(f"{settings.space}/{settings.name}, trial {trial.name}")),
        ("versions", ", ".join(f"{name} {version}" for name, version in settings.versions.items())),
    ]
    return "\n\n".join(
        [
            f"# {settings.space}: trial {trial.name}",
            *([] if left is None else [f"**{left}.**"]),
            table(("", ""), facts),
            "## On the test split",
            _tested(trial, search, confirmations),
            "## What differs from the default configuration",
            _differences(search, trial),
            "## How to load it",
            f"```python\n{loading}\n```",
            f"`config.json` is the complete configuration, `weights.pt` {weights}, `metrics.json` all metrics. "
            "`python -m trainable.train --config config.json` trains it again.\n",
        ]
    )


def _tested(trial: TrialRecord, search: SearchRecord, confirmations: Sequence[Confirmation]) -> str:
    own = [one for one in confirmations if one.trial == trial.name]
    if own:
        return own[0].sentence
    if trial is search.default_trial and confirmations:
        return "It is the default configuration, which no other trial beat on several seeds."
    return "Not confirmed: the validation split chose it, so new data will be slightly worse."


def _differences(search: SearchRecord, trial: TrialRecord) -> str:
    default = search.default_trial
    if default is None or default is trial:
        return "Nothing: it is the default configuration."
    names = dict.fromkeys([*default.params, *trial.params])
    both = [(name, *both_in_words(trial, default, name)) for name in names]
    rows = [(formatting.code(name), _value(here), _value(there)) for name, here, there in both if here != there]
    return table(("parameter", "here", "default"), rows) if rows else "Nothing."


def _value(words: str) -> str:
    return words if words == NOT_USED else formatting.code(words)
