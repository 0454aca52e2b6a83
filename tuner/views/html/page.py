"""Writes report.html."""

import base64
import gzip
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import jinja2
import markupsafe
from plotly.offline import get_plotlyjs

from tuner import formatting
from tuner.records.atomic_file import replacing
from tuner.results.data import counts_by_split, found_in_data
from tuner.results.differences import differences
from tuner.results.headline import State
from tuner.results.importance_text import what_mattered
from tuner.results.report_text import settings_rows
from tuner.results.samples import failures, which_judged
from tuner.results.trial_rows import trial_row
from tuner.views.figures.curves import draw_best_so_far, draw_learning_curves
from tuner.views.figures.drawing import Drawing, word_of_exported
from tuner.views.figures.limits import draw_limits
from tuner.views.figures.parameters import draw_parameters
from tuner.views.figures.seeds import draw_seeds
from tuner.views.figures.techniques import draw_techniques
from tuner.views.figures.timeline import draw_timeline
from tuner.views.html.content import (
    Result,
    baselines,
    claims,
    commands,
    facts,
    headline_words,
    more_trials_for_importance,
    notes,
    time_parts,
    to_decide,
)

PAGE = "report.html"
HERE = Path(__file__).parent
MEASURED_LATER = Drawing(
    name="importance",
    title="Importance of the parameters",
    caption="Measured when the search is over: it takes seconds, in which the search would wait.",
)


def write_page(result: Result, output: Path) -> Path:
    """Replaces the page in a folder atomically, and returns its path; raises OSError when it can't be written."""
    text = render(result)
    with replacing(output / PAGE) as partial:
        partial.write_text(text, encoding="utf-8")
    return output / PAGE


def render(result: Result) -> str:
    """Renders the page as HTML."""
    search, exported = result.search, result.exported
    is_live = result.state in (State.RUNNING, State.CONFIRMING)
    drawings = _drawings(result, is_live=is_live)
    figures = {one.name: one.figure for section in drawings.values() for one in section if one.figure is not None}
    written = ",".join(f"{json.dumps(name)}:{figure.to_json()}" for name, figure in figures.items())
    # JSON that can't end its script element, whatever the texts in it.
    safe = written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return _template().render(
        title=f"{search.settings.space}/{search.settings.name}",
        result=result,
        state=str(result.state),
        is_live=is_live,
        headline=headline_words(result.headline),
        notes=notes(result),
        facts=facts(result),
        time_parts=time_parts(result),
        to_decide=to_decide(result),
        exported_word=word_of_exported(search),
        mattered=what_mattered(result.importance),
        judged_images=None if result.samples is None else which_judged(result.samples),
        failures=[] if result.samples is None else failures(result.samples),
        commands=commands(result),
        differences=[] if exported is None else differences(search, exported, result.importance),
        claims=claims(result),
        baselines=baselines(result),
        to_measure=more_trials_for_importance(result),
        drawings=drawings,
        figures=markupsafe.Markup(f"{{{safe}}}"),
        rows=[trial_row(search, trial, result.importance) for trial in search.trials],
        splits=list(search.settings.images),
        counts=counts_by_split(search.settings),
        found=found_in_data(search.settings),
        settings=settings_rows(search),
        written=time.time(),
    )


def _drawings(result: Result, *, is_live: bool) -> Mapping[str, Sequence[Drawing]]:
    """Figures by section."""
    search, exported = result.search, result.exported
    return {
        "seeds": [draw_seeds(search, exported, result.confirmations)],
        "curves": [
            draw_learning_curves(search, exported),
            *draw_best_so_far(search, exported),
            draw_timeline(search, exported),
        ],
        "parameters": [MEASURED_LATER] if is_live else draw_parameters(search, exported, result.importance),
        "techniques": draw_techniques(exported),
        "limits": draw_limits(search, exported),
    }


@cache
def _template() -> jinja2.Template:
    """Template with the parts common to all pages; plotly.js is compressed to a third; the page unpacks it."""
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals.update(
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        script=(HERE / "report.js").read_text(encoding="utf-8"),
        plotly=base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode(),
        number=formatting.number,
        duration=formatting.duration,
        count=formatting.count,
    )
    return environment.get_template("report.html")
