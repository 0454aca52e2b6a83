"""The page of a standalone training, redrawn every few seconds while it trains; Streamlit runs it for `tuner.page`."""

import sys
from pathlib import Path

import streamlit as st

from trainable.reporting.number_text import number_text
from tuner.views import training_data
from tuner.views.page_view import REFRESH_SECONDS, errors_shown, show_machine
from tuner.views.training_data import Training, read_training

_PENDING = "checkpoint to delete"


def show(folder: Path) -> None:
    """The whole page."""
    st.set_page_config(page_title=folder.name, layout="wide")
    with errors_shown():
        is_unfinished = not read_training(folder).tested
        st.fragment(_draw, run_every=REFRESH_SECONDS if is_unfinished else None)(folder)


@errors_shown()
def _draw(folder: Path) -> None:
    training = read_training(folder)
    _show_progress(training)
    compared = st.multiselect("compare with", training_data.others(training), format_func=str)
    trainings = [training, *map(read_training, compared)]
    curves, configuration, checkpoints, machine = st.tabs(["Curves", "Configuration", "Checkpoints", "Machine"])
    with curves:
        metric = st.selectbox("metric", training_data.metric_names(training))
        if metric is not None:
            st.line_chart(training_data.curves(trainings, metric))
    with configuration:
        table = training_data.configurations(trainings)
        only = st.toggle("only what differs", value=bool(table["differs"].any()))
        st.dataframe(table[table["differs"]] if only else table)
    with checkpoints:
        st.dataframe(training_data.checkpoints(training))
        _offer_deletion(training)
    with machine:
        show_machine()


def _show_progress(training: Training) -> None:
    st.header(f"{training.config.workload}: {training.folder.name}")
    best, done = training.best, len(training.epochs)
    words = [f"epoch {done} of {training.config.max_epochs}"]
    if best is not None:
        value = number_text(best["metrics"][training.monitor.name], 4)
        words.append(f"best {training.monitor.name} {value} at epoch {best['epoch']}")
    st.markdown("; ".join(words))
    if training.tested:
        st.caption(str(training.tested["ended"]))
        st.dataframe(training.tested["test"])


def _offer_deletion(training: Training) -> None:
    """Asks before deleting: the first button names the file, the second deletes it."""
    chosen = st.selectbox("delete", training_data.deletable(training), index=None, placeholder="a checkpoint")
    if st.button("Delete", disabled=chosen is None, key="ask"):
        st.session_state[_PENDING] = chosen
    pending = st.session_state.get(_PENDING)
    if pending is None:
        return
    st.warning(f"{training.folder / pending} will be deleted for good.")
    if st.button(f"Yes, delete {pending}", key="confirm"):
        del st.session_state[_PENDING]
        try:
            training_data.delete_checkpoint(training, pending)
        except (ValueError, OSError) as error:
            st.error(str(error))
        else:
            st.rerun()
    if st.button("Keep it", key="keep"):
        del st.session_state[_PENDING]
        st.rerun()


if __name__ == "__main__":
    show(Path(sys.argv[1]))
