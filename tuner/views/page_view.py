"""The page itself, redrawn every few seconds while the search runs; Streamlit runs this file for `tuner.page`."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from trainable.console.command_line import error_line
from tuner import formatting
from tuner.confirmation.wanted import interruption, is_over
from tuner.importance.measure import measure_importance
from tuner.records import SearchRecord, TrialRecord, read_search
from tuner.records.lock import is_in_use
from tuner.report import baseline_rows, results_table
from tuner.selection.comparison import read_confirmations
from tuner.selection.selected_trial import SelectedTrial, select_trial
from tuner.views import page_data
from tuner.views.figures.curves import draw_best_so_far, draw_learning_curves, draw_searches
from tuner.views.figures.drawing import Drawing
from tuner.views.figures.limits import draw_limits
from tuner.views.figures.parameters import draw_parameters
from tuner.views.figures.seeds import draw_seeds
from tuner.views.figures.techniques import draw_techniques
from tuner.views.figures.timeline import draw_timeline
from tuner.views.plain_view import best_words, ended_words, heading

REFRESH_SECONDS = 3


def show(folder: Path) -> None:
    """The whole page."""
    st.set_page_config(page_title=f"{folder.parent.name}/{folder.name}", layout="wide")
    with errors_shown():
        is_done = is_over(folder, read_search(folder))
        st.fragment(_draw, run_every=None if is_done else REFRESH_SECONDS)(folder)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows a read error in place of the rest of the page."""
    try:
        yield
    except (ValueError, OSError) as error:
        st.error(error_line(error).removeprefix("error: "))


@errors_shown()
def _draw(folder: Path) -> None:
    search = read_search(folder)
    selected = select_trial(folder, search)
    exported = None if selected is None else selected.trial
    _show_progress(search, folder, selected)
    curves, seeds, parameters, trials, configuration, checkpoints, beside, machine = st.tabs(
        ["Curves", "How sure", "Parameters", "Trials", "Configuration", "Checkpoints", "Other searches", "Machine"]
    )
    with curves:
        metric = st.selectbox("metric", page_data.metric_names(search))
        _show([draw_learning_curves(search, exported, metric=metric)])
        _show([*draw_best_so_far(search, exported), draw_timeline(search, exported), *draw_techniques(exported)])
    with seeds:
        there = {"is_over": is_over(folder, search), "is_running": is_in_use(folder)}
        for sentence in () if selected is None else selected.evidence(**there):
            st.markdown(sentence)
        _show([draw_seeds(search, exported, read_confirmations(folder, search))])
    with parameters:
        # Measured when asked for: with many trials it takes seconds, and the page is redrawn every few.
        if st.toggle("measure the importance", value=not search.is_unfinished):
            _show([*draw_parameters(search, exported, measure_importance(search)), *draw_limits(search, exported)])
    with trials:
        st.dataframe(results_table(search), hide_index=True)
        st.dataframe(page_data.last_metrics(search, exported))
    with configuration:
        _show_configuration(search, exported)
    with checkpoints:
        st.dataframe(page_data.checkpoints(search, folder))
    with beside:
        _show_others(search, folder)
    with machine:
        show_machine()


def _show(drawings: Iterable[Drawing]) -> None:
    """The same figures as in report.html."""
    for drawing in drawings:
        st.subheader(drawing.title)
        if drawing.figure is not None:
            st.plotly_chart(drawing.figure, key=drawing.name)
        st.caption(drawing.caption)


def _show_others(search: SearchRecord, folder: Path) -> None:
    """Compares this search with chosen ones: exported trials, best so far, and different settings."""
    chosen = st.multiselect("compare with", page_data.others(folder, search), format_func=formatting.path)
    folders = [folder, *chosen]
    searches = [search, *map(read_search, chosen)]
    st.dataframe(page_data.side_by_side(folders, searches))
    if chosen:
        _show([draw_searches(dict(zip(map(formatting.path, folders), searches, strict=True)))])
        st.dataframe(page_data.differing_settings(folders, searches))


def _show_progress(search: SearchRecord, folder: Path, selected: SelectedTrial | None) -> None:
    interrupted = interruption(folder, search)
    if interrupted is not None:
        st.warning(interrupted)
    st.header(heading(search, results=folder, dashboard=None)["searching"])
    best = best_words(search) if selected is None or selected.choice is None else selected.choice.sentence.rstrip(".")
    st.markdown(f"{best}; {ended_words(search)} ended; {page_data.clock(search, folder)}")
    if selected is not None and selected.remark is not None:
        st.caption(selected.remark)
    beside = page_data.baselines(baseline_rows(folder, search))
    if not beside.empty:
        st.dataframe(beside)


def _show_configuration(search: SearchRecord, exported: TrialRecord | None) -> None:
    first = 0 if exported is None else search.trials.index(exported)
    names = {one.name: f"trial {one.name}" + (" (the default)" if one.number == 0 else "") for one in search.trials}
    trial = st.selectbox("trial", search.trials, index=first, format_func=lambda one: names[one.name])
    if trial is None:
        return
    st.caption(trial.sentence)
    try:
        table = page_data.configuration(search, trial)
    except ValueError as error:
        st.error(f"This version can't read the configuration: {error}")
        return
    only = st.toggle("only what differs from the default", value=bool(table["differs"].any()))
    st.dataframe(table[table["differs"]] if only else table)


def show_machine() -> None:
    """CPUs, memory and GPUs of the machine that the page runs on."""
    for column, (name, value) in zip(st.columns(2), page_data.machine().items(), strict=True):
        column.metric(name, value)
    gpus = page_data.gpus()
    if gpus.empty:
        st.caption("no GPU")
    else:
        st.dataframe(gpus, hide_index=True)


if __name__ == "__main__":
    show(Path(sys.argv[1]))
