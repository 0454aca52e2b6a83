import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from trainable.console import process
from tuner.policy.outcomes import Outcome
from tuner.records import TrialResources, trial_name
from tuner.views.choice import make_view
from tuner.views.live_view import HINT, LiveView, sparkline
from tuner.views.plain_view import PlainView, best_words

RESULTS = Path("results/moe/spring")
DASHBOARD = "http://127.0.0.1:8265"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def drawn(search, *, width=80, height=40, clock=lambda: 0.0):
    """The live view as text."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, record=True, highlight=False)
    view = LiveView(search, results=RESULTS, dashboard=DASHBOARD, console=console, clock=clock)
    console.print(view.draw())
    return console.export_text()


def said(synthetic, *, until=float("inf")):
    """Output to a file while this search runs."""
    stream = io.StringIO()
    view = make_view(stream, synthetic.recorder.record, results=RESULTS, dashboard=DASHBOARD)
    view.start()
    synthetic.run(until=until, on_epoch=lambda: view.update(synthetic.recorder.record))
    view.stop()
    return stream.getvalue()


def test_the_picture_shows_the_best_beside_the_default_and_the_running_trials(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=100)
    search = synthetic.recorder.record
    picture = drawn(search)
    best, default = search.leader, search.default_trial
    assert f"trial {best.name}  {best.objective_at(12):.3f}" in picture
    assert f"{best.objective_at(12) - default.objective_at(12):.3f} better" in picture
    running = [trial for trial in search.trials if trial.outcome is None]
    assert all(f"trial {trial.name} " in picture for trial in running)
    assert len(running) == 2
    ended = f"{len(search.trials) - 2} of 40 trials"
    for words in ("moe on camouflage scenes", str(RESULTS), DASHBOARD, ended, "stopped at rung 2 (epoch 6)", HINT):
        assert words in picture


@pytest.mark.parametrize("until", [0, 5, 30, 100, float("inf")])
def test_the_last_line_is_empty_so_that_the_echo_of_ctrl_c_begins_no_new_one(synthetic_search, until):
    """Else the next picture would begin one line too low, and the first line would be there twice."""
    synthetic = synthetic_search()
    synthetic.run(until=until)
    search = synthetic.recorder.record
    console = Console(file=io.StringIO(), width=130, height=45, force_terminal=True)
    view = LiveView(search, results=RESULTS, dashboard=DASHBOARD, console=console)
    *_, last = console.render_lines(view.draw_above_cursor(), pad=False)
    assert "".join(segment.text for segment in last) == ""


@pytest.mark.parametrize("until", [0, 5, 30, 100, float("inf")])
def test_no_line_of_the_picture_is_wider_than_eighty_columns_or_wrapped(synthetic_search, until):
    synthetic = synthetic_search()
    synthetic.run(until=until)
    lines = drawn(synthetic.recorder.record, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == len(drawn(synthetic.recorder.record, width=99).splitlines())


def test_while_the_first_processes_start_the_picture_says_so(synthetic_search):
    assert "the first trials are starting" in drawn(synthetic_search().recorder.record)


def test_wide_terminals_show_the_parameters_of_the_running_trials(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=100)
    assert "max_lr" in drawn(synthetic.recorder.record, width=140)
    assert "max_lr" not in drawn(synthetic.recorder.record, width=80)


def test_more_running_trials_than_the_terminal_has_rows_are_counted_not_drawn(synthetic_search):
    resources = TrialResources(concurrent=64, cpus_per_trial=1.0, gpus_per_trial=0.0)
    synthetic = synthetic_search(num_trials=64, resources=resources)
    synthetic.run(until=5)
    picture = drawn(synthetic.recorder.record, height=30)
    drawn_trials = picture.count(" of 12 ")
    assert f"and {len(synthetic.recorder.record.unfinished) - drawn_trials} more" in picture
    assert len(picture.splitlines()) <= 30


def test_the_clock_continues_between_two_results(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=20)
    now = iter([100.0, 100.0, 165.0])
    before = synthetic.recorder.record.elapsed
    assert f"1:{5 + round(before):02}" in drawn(synthetic.recorder.record, clock=lambda: next(now))


def test_the_last_picture_stays_and_no_longer_offers_to_stop(synthetic_search, terminal):
    synthetic = synthetic_search(num_trials=1)
    view = make_view(terminal, synthetic.recorder.record, results=RESULTS)
    assert isinstance(view, LiveView)
    view.start()
    synthetic.run(on_epoch=lambda: view.update(synthetic.recorder.record))
    view.stop()
    last = terminal.getvalue().rpartition("searching")[2]
    assert "1 of 1 trial" in last
    assert HINT not in last


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", "unknown")])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(synthetic_search, terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert isinstance(make_view(terminal, synthetic_search().recorder.record, results=RESULTS), PlainView)


def test_a_terminal_without_block_letters_gets_plain_lines(synthetic_search, terminal):
    terminal.encoding = "ascii"
    assert isinstance(make_view(terminal, synthetic_search().recorder.record, results=RESULTS), PlainView)


def test_no_color_is_respected(synthetic_search, terminal, monkeypatch):
    def colours():
        synthetic = synthetic_search(name=str(len(terminal.getvalue())))
        view = make_view(terminal, synthetic.recorder.record, results=RESULTS)
        synthetic.run(until=100)
        begin = len(terminal.getvalue())
        view.start()
        view.update(synthetic.recorder.record)
        view.stop()
        return "\x1b[36m" in terminal.getvalue()[begin:]

    assert colours()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours()


def test_an_update_writes_a_line_for_each_trial_that_has_ended_since_the_last_all_with_the_same_state(synthetic_search):
    synthetic = synthetic_search()
    view = PlainView(synthetic.recorder.record, results=RESULTS, dashboard=None, stream=(stream := io.StringIO()))
    synthetic.run()
    view.update(synthetic.recorder.record)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 40
    assert len({(line.partition("]")[0], line.rpartition("; best trial")[2]) for line in lines}) == 1


def test_a_file_gets_one_plain_line_for_each_trial_that_ends(synthetic_search):
    text = said(synthetic_search())
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    ended = [line for line in text.splitlines() if line.startswith("[")]
    assert len(ended) == 40
    assert ended[-1].endswith("40 of 40 trials ended")
    assert sum("rung 1" in line and "misses the cutoff" in line for line in ended) > 10


def test_a_resumed_search_says_how_the_trials_ended_that_were_unfinished_before(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=100)
    record = synthetic.recorder.record
    trial, _ = record.unfinished
    view = PlainView(record, results=RESULTS, dashboard=None, stream=(stream := io.StringIO()))
    numbers = {"epoch": trial.last.epoch, "objective": 0.7}
    synthetic.recorder.end(trial.name, Outcome.COMPLETED, numbers=numbers, epoch=trial.last.epoch)
    view.update(record)
    (line,) = stream.getvalue().splitlines()
    assert f"trial {trial.name} completed {trial.last.epoch} epochs with 0.7" in line


def test_a_line_says_the_time_left_and_the_best_beside_the_default(synthetic_search):
    synthetic = synthetic_search()
    line = said(synthetic, until=100).splitlines()[-1]
    search = synthetic.recorder.record
    best, default = (trial.objective_at(12) for trial in (search.leader, search.default_trial))
    where = f"at epoch {search.comparison_epoch} (default {default:.3f})"
    assert f"best trial {search.leader.name} s_measure {best:.3f} {where}; " in line
    assert "left] trial" in line


def test_where_the_default_has_no_value_the_best_of_the_others_is_shown(synthetic_search):
    synthetic = synthetic_search(num_trials=2)
    recorder, (default, other) = synthetic.recorder, [trial_name(number, {}) for number in (0, 1)]
    recorder.start(default, params={}, answers={})
    recorder.start(other, params={}, answers={})
    assert best_words(recorder.record) == "nothing measured yet"
    recorder.result(other, epoch=2, objective=0.75, metrics={}, seconds=1.0)
    words = f"best trial {other} s_measure 0.750 at epoch 2 (the default has no value"
    assert best_words(recorder.record) == f"{words} yet)"
    recorder.end(default, Outcome.DIVERGED, numbers={"epoch": 1}, epoch=1)
    assert best_words(recorder.record) == f"{words})"
    assert words in " ".join(drawn(recorder.record, width=120).split())


def test_a_long_silence_is_broken_by_a_line_of_progress(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    synthetic.seconds_of = lambda params: 25.0
    lines = [line for line in said(synthetic).splitlines() if "running: trial 000-" in line]
    assert 3 <= len(lines) <= 5


def test_a_resumed_search_does_not_announce_again_what_had_ended(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=100)
    stream = io.StringIO()
    view = make_view(stream, synthetic.recorder.record, results=RESULTS)
    view.update(synthetic.recorder.record)
    assert stream.getvalue() == ""


def test_an_error_text_with_line_breaks_and_control_characters_stays_one_line(synthetic_search):
    synthetic = synthetic_search(num_trials=2)
    stream = io.StringIO()
    view = make_view(stream, synthetic.recorder.record, results=RESULTS)
    trial = trial_name(0, {})
    synthetic.recorder.start(trial, params={}, answers={})
    synthetic.recorder.end(trial, Outcome.FAILED, numbers={"error": "bad\x1b[2J\nnews"}, epoch=0)
    view.update(synthetic.recorder.record)
    line = f"[0:00] trial {trial} failed: bad [2J news; nothing measured yet; 1 of 2 trials ended\n"
    assert stream.getvalue() == line
    assert "\x1b" not in drawn(synthetic.recorder.record)


def test_a_reader_that_has_gone_away_does_not_end_the_search(synthetic_search):
    class ClosedPipe(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    synthetic = synthetic_search(num_trials=2)
    view = make_view(ClosedPipe(), synthetic.recorder.record, results=RESULTS)
    synthetic.run(on_epoch=lambda: view.update(synthetic.recorder.record))
    assert len(synthetic.recorder.record.trials) == 2


def test_a_sparkline_ends_with_the_last_value_however_long_the_curve():
    assert sparkline([0.0, 0.5, 1.0], low=0.0, high=1.0) == "▁▅█"
    assert sparkline([None, 1.0], low=0.0, high=1.0) == " █"
    long = sparkline([0.0] * 99 + [1.0], low=0.0, high=1.0, width=12)
    assert len(long) <= 12
    assert long.endswith("▁█")
    assert sparkline([], low=0.0, high=0.0) == ""


def test_a_search_begins_with_how_many_images_it_has(synthetic_search):
    counts = {"train": 7, "validation": 3, "test": 2}
    synthetic = synthetic_search(images=counts, image_size_px=(240, 240))
    picture, lines = drawn(synthetic.recorder.record), said(synthetic, until=0)
    assert "images: train 7, validation 3, test 2 images at 240 x 240 px\n" in lines
    assert "caution: Only 3 validation and 2 test images: too few to rank configurations.\n" in lines
    assert "train 7, validation 3, test 2 images at 240 x 240 px" in picture


def test_a_running_trial_is_shown_by_what_differs_most_from_the_default(synthetic_search):
    synthetic = synthetic_search()
    recorder = synthetic.recorder
    default = {"max_lr": 1e-3, "weight_decay": 0.01, "averaging": "off", "num_experts": 4, "top_k": 2, "ranks": 3}
    changed = default | {"max_lr": 1e-2, "weight_decay": 0.011, "averaging": "ema", "num_experts": 8, "top_k": 1}
    for number, params in enumerate((default, changed)):
        recorder.start(trial_name(number, params), params=params, answers=params)
    first, second = (line for line in drawn(recorder.record, width=160).splitlines() if " of 12" in line)
    assert first.rstrip().endswith("the default")
    assert second.rstrip().endswith("max_lr 0.01, averaging ema, num_experts 8, top_k 1")


@pytest.mark.parametrize(("mode", "better"), [("max", False), ("min", True)])
def test_a_running_trial_below_the_default_has_a_negative_difference(synthetic_search, mode, better):
    recorder = synthetic_search(mode=mode).recorder
    for number, value in ((0, 0.5), (1, 0.4)):
        trial = trial_name(number, {})
        recorder.start(trial, params={}, answers={})
        recorder.result(trial, epoch=1, objective=value, metrics={}, seconds=1.0)
    text = drawn(recorder.record)
    assert "-0.100" in text
    assert ("0.100 better" in text) == better


def test_nothing_that_a_terminal_would_obey_is_shown_of_names_and_values(synthetic_search):
    hostile = "/data/a\x1b[2Jb"
    synthetic = synthetic_search(data=hostile)
    default = {"criterion": "dice", "weights": "scratch"}
    changed = {"criterion": "bad\x1b]0;owned\x07", "weights": "of\x1b[2J\r\nmine"}
    for number, params in enumerate((default, changed)):
        synthetic.recorder.start(trial_name(number, params), params=params, answers=params)
    shown = drawn(synthetic.recorder.record, width=160) + said(synthetic_search(name="other", data=hostile), until=0)
    assert "a [2Jb" in shown
    assert "criterion bad ]0;owned" in shown
    assert not {"\x1b", "\x07", "\r"} & set(shown)


def test_a_message_goes_above_the_picture_and_does_not_shift_it(synthetic_search, terminal, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    view = make_view(terminal, synthetic_search().recorder.record, results=RESULTS, dashboard=DASHBOARD)
    with process.shown():
        view.start()
        logging.getLogger("tuner.session").info("Stopping; finished epochs are saved.")
        view.stop()
    assert "Stopping; finished epochs are saved." in terminal.getvalue()
    assert capsys.readouterr().err == ""
