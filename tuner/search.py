"""Finds a better training configuration for a vision workload.

python -m tuner.search --space moe
python -m tuner.search --space moe --data path/to/images-and-masks --trials 60
"""

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.glossary import MEANINGS
from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation, Space
from search_spaces.stub_trials import in_words
from trainable.configuration.fields import parse_assignments
from trainable.console.command_line import error_line, error_with_next_step, run_main
from trainable.console.json_output import write_json
from trainable.console.process import freeze_imports
from trainable.remote.uri import is_uri
from tuner import formatting
from tuner.api import searches
from tuner.api.keywords import SearchOptions, settings_from
from tuner.planning.given import read_given
from tuner.planning.places import check_places
from tuner.planning.spaces import find_space, installed_spaces
from tuner.records import SETTINGS
from tuner.records.settings import POLICIES_OF_FORMAT_2, read_settings
from tuner.search_options import PROG, search_parser
from tuner.settings import DEFAULT_SPACE, SearchSettings, option_of

if TYPE_CHECKING:
    from tuner.api.result import SearchResult

DONE, NO_RESULT, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
_INTERRUPTED = "Interrupted. Finished epochs are saved; continue with --resume.\n"
_NOT_STARTED = "Interrupted before the search started; nothing was written.\n"

build_parser = search_parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command; returns its exit status: 0 done, 1 no trial has a value, 2 user error, 130 interrupted."""
    options = search_parser(prog).parse_args(arguments)
    return run_command(options)


def run_command(options: argparse.Namespace) -> int:
    """Runs the options of `search_parser`; returns the exit status."""
    try:
        with searches.environment():
            return _list(as_json=options.json) if options.list else _searched(options, _settings(options))
    except ValueError as error:
        sys.stderr.write(error_line(error))
        return USER_ERROR
    except OSError as error:
        next_step = "Finished epochs are saved; fix the problem and continue with --resume."
        sys.stderr.write(error_with_next_step(error, next_step))
        return USER_ERROR
    finally:
        gc.unfreeze()


def _searched(options: argparse.Namespace, settings: SearchSettings) -> int:
    """Runs the command; after Ctrl-C prints what is saved."""
    try:
        return _run(options, settings)
    except KeyboardInterrupt:
        has_started = bool(options.resume) or (settings.folder / SETTINGS).exists()
        sys.stderr.write(_INTERRUPTED if has_started else _NOT_STARTED)
        return INTERRUPTED


def _run(options: argparse.Namespace, settings: SearchSettings) -> int:
    began = time.monotonic()
    if options.resume is None:
        check_places(settings)
    else:
        _check_alone(options)
        if not is_uri(options.resume):
            read_settings(Path(options.resume))
    searches.load_libraries()
    freeze_imports()
    if options.dry_run:
        from tuner.budget.dry_run import dry_run

        with redirect_stdout(sys.stderr) if options.json else nullcontext():
            estimate = dry_run(*searches.plan_search(settings, began=began), began=began)
        if options.json:
            write_json(estimate.facts)
        else:
            sys.stdout.write(f"{estimate.text}\n")
        return DONE
    # With --json, standard output has the result alone.
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        result = (
            _resume(options, settings)
            if options.resume
            else searches.run(settings, verbose=options.verbose, began=began)
        )
    if options.json:
        write_json(result.summary())
    return _status(result)


def _status(result: "SearchResult") -> int:
    if not result.is_over:
        return INTERRUPTED
    return NO_RESULT if result.search.leader is None else DONE


def _resume(options: argparse.Namespace, settings: SearchSettings) -> "SearchResult":
    return searches.continue_from(
        options.resume,
        space=None if options.space is None else settings.found_space.space.name,
        more=options.trials,
        seconds=options.time_budget_seconds,
        disk_bytes=settings.disk_budget_bytes,
        address=settings.address,
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
        verbose=options.verbose,
    )


def _settings(options: argparse.Namespace) -> SearchSettings:
    """Converts the options to SearchSettings; omitted ones take its defaults, or the space's."""
    keywords = SearchOptions.__annotations__
    given = {name: value for name, value in vars(options).items() if value is not None and name in keywords}
    pinned, ranges = read_given(options.set, options.space_file)
    limits = parse_assignments(options.limit, option="--limit")
    lists = {"pinned": pinned, "ranges": ranges, "limits": limits}
    return settings_from(options.space or DEFAULT_SPACE, given | lists | _of_old_policy(options))


def _of_old_policy(options: argparse.Namespace) -> dict[str, str]:
    """Scheduler and sampler of `--policy`, the one option of version 0.2.0 for both."""
    old = options.policy
    if old is None:
        return {}
    if old not in POLICIES_OF_FORMAT_2:
        raise ValueError(f"--policy is {old!r}; give --scheduler and --sampler instead.")
    if options.scheduler is not None or options.sampler is not None:
        raise ValueError(f"--policy {old} is an old name of a scheduler and a sampler; give --scheduler and --sampler.")
    scheduler, sampler = POLICIES_OF_FORMAT_2[old]
    sys.stderr.write(f"--policy {old} is now --scheduler {scheduler} --sampler {sampler}.\n")
    return {"scheduler": scheduler, "sampler": sampler}


def _check_alone(options: argparse.Namespace) -> None:
    """A resumed search keeps its settings: raises ValueError for options that would be ignored."""
    parser = search_parser()
    given = {name for name, value in vars(options).items() if value != parser.get_default(name)}
    others = given - {"resume", "space", "trials", "time_budget_seconds", "disk_budget", "verbose", "json"}
    others -= {"address", "num_cpus", "num_gpus"}
    if others:
        listed = ", ".join(sorted(option_of(name) for name in others))
        raise ValueError(
            f"--resume uses the recorded settings; leave out {listed}. For other settings start a new search; "
            "--warm-start DIR gives it what this one tried."
        )


def _list(*, as_json: bool) -> int:
    """Prints every space with its parameters, their defaults and what is searched, for 1000 images from scratch."""
    origins = dict.fromkeys(SPACES) | {name: at.value for name, at in installed_spaces().items()}
    facts = {name: _facts(find_space(name).space, origin) for name, origin in origins.items()}
    if as_json:
        write_json(facts)
    else:
        sys.stdout.write("\n\n".join(_describe(name, one) for name, one in facts.items()) + "\n")
    return DONE


def _facts(space: Space, origin: str | None) -> dict[str, Any]:
    """Facts of a space as plain data; a parameter of a part that the default leaves out has the value "-"."""
    situation = Situation(num_train_images=1000, pretrained=False)
    defaults = space.defaults(situation)
    return {
        "origin": origin,
        "job": space.job,
        "objective": space.objective,
        "mode": space.mode,
        "max_epochs": space.max_epochs,
        "parameters": {
            name: {"default": defaults.get(name, "-"), "searched": in_words(asked), "meaning": MEANINGS.get(name, "")}
            for name, asked in PinnedSpace(space, situation).asked.items()
        },
    }


def _describe(name: str, facts: dict[str, Any]) -> str:
    origin = f" ({facts['origin']})" if facts["origin"] else ""
    about = f"{facts['job']}; " if facts["job"] else ""
    aim = f"{'maximises' if facts['mode'] == 'max' else 'minimises'} {facts['objective']}"
    lines = [
        f"{name}{origin}: {about}{aim}; up to {formatting.count(facts['max_epochs'], 'epoch')}",
        f"  {'parameter':26} {'default':14} {'searched':47} meaning",
        *(
            f"  {one:26} {it['default']!s:14} {it['searched']:47} {it['meaning']}".rstrip()
            for one, it in facts["parameters"].items()
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_main(main))
