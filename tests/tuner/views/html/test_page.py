"""The text of report.html, read without a browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import plotly.graph_objects as go
import pytest

from tests.tuner.recorded_curves import recorded
from tuner.budget.time_left import TimeLeft, time_left
from tuner.importance.measure import measure_importance
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, append_run, read_search, trial_name
from tuner.results.differences import differences
from tuner.results.headline import State
from tuner.views.html.content import commands, facts, read_result
from tuner.views.html.live import LivePage
from tuner.views.html.page import PAGE, render, write_page

HOSTILE = "<script>alert('x')</script>\"'&</script><img src=x onerror=alert(1)>"
MAX_MEGABYTES = 6.0


class Reader(HTMLParser):
    """The tags, the visible text and the scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self.scripts, self.attributes = [], [], {}, []
        self._inside = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.text.append(data)
        else:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def page_of(folder, state=None, *, importance=None):
    search = read_search(folder)
    return Reader(render(read_result(folder, search, state, importance=importance)))


@pytest.fixture
def copied(finished_folder, tmp_path):
    return Path(shutil.copytree(finished_folder, tmp_path / "results" / "moe" / "copied"))


def confirm(folder, values):
    for trial, by_seed in values.items():
        for seed, value in enumerate(by_seed):
            append_run(folder, ConfirmedRun(trial=trial, seed=seed, objective=value, validation=value, test={}))


@pytest.fixture(scope="module")
def finished(finished_folder):
    return page_of(finished_folder, State.OVER, importance=measure_importance(read_search(finished_folder)))


def test_the_first_words_are_what_was_won(copied):
    search = read_search(copied)
    winner = search.leader.name
    confirm(copied, {search.default_trial.name: [0.80, 0.81, 0.82], winner: [0.85, 0.86, 0.875]})
    words = page_of(copied, State.OVER).words
    won = f"Trial {winner} is better than the default s_measure 0.810 → to 0.862 on the test split"
    assert won in words
    assert "0.052 better; 3 of 3 seeds better; 95 % interval " in words
    assert words.index(won) < words.index("What to run next")


def test_every_trial_is_in_the_table_with_its_reason(finished, finished_folder):
    search = read_search(finished_folder)
    rows = [value for tag, name, value in finished.attributes if (tag, name) == ("tr", "data-trial")]
    assert rows == [trial.name for trial in search.trials]
    sentences = {value for tag, name, value in finished.attributes if (tag, name) == ("td", "title")}
    assert sentences == {trial.sentence for trial in search.trials}


def test_the_figures_are_plotly_s_and_each_has_its_place_and_description(finished):
    figures = json.loads(finished.scripts["figures"])
    places = [value for _, name, value in finished.attributes if name == "data-figure"]
    assert sorted(places) == sorted(figures)
    assert {"learning-curves", "best-so-far-time", "timeline", "importance", "contour", "parallel"} <= set(figures)
    for figure in figures.values():
        go.Figure(figure)
    described = [value for tag, name, value in finished.attributes if name == "aria-label" and tag == "div"]
    assert len(described) == len(places)
    assert all(described)


def test_nothing_is_fetched_from_anywhere(finished):
    sources = [value for _, name, value in finished.attributes if name in ("src", "srcset", "data")]
    links = [value for _, name, value in finished.attributes if name == "href"]
    assert all(value.startswith("data:") for value in sources)
    assert all(value.startswith("#") for value in links)
    assert any("default-src 'none'" in value for _, name, value in finished.attributes if name == "content")


def test_headings_descend_one_level_at_a_time_and_every_section_is_named(finished):
    levels = [int(tag[1]) for tag in finished.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    names = {value for _, name, value in finished.attributes if name == "id"}
    labels = [value for _, name, value in finished.attributes if name in ("aria-labelledby", "for")]
    assert set(labels) <= names


@pytest.mark.parametrize(
    ("state", "is_live"),
    [(State.RUNNING, True), (State.CONFIRMING, True), (State.INTERRUPTED, False), (State.OVER, False)],
)
def test_the_state_is_a_badge_and_only_a_page_that_changes_reloads(finished_folder, state, is_live):
    page = page_of(finished_folder, state)
    assert page.words.startswith(f"{state} moe/") or f" {state} moe/" in page.words
    assert ("body", "data-live", "yes" if is_live else "no") in page.attributes
    assert (("meta", "http-equiv", "refresh") in page.attributes) == is_live


def test_an_interrupted_search_says_so_first_and_how_to_continue(synthetic_search):
    synthetic = synthetic_search(confirm=3)
    synthetic.run(until=40)
    words = page_of(synthetic.recorder.folder).words
    note = words.index("Interrupted: ")
    assert f" and the confirmation, {time_left(synthetic.recorder.record)}; " in words
    assert note < words.index("on the validation split")
    assert f"python -m tuner.search --resume {synthetic.recorder.folder}" in words


def test_a_running_search_shows_the_best_at_the_epoch_that_the_default_has_reached(synthetic_search):
    synthetic = synthetic_search(seed=1)
    synthetic.run(until=14)
    search = synthetic.recorder.record
    assert search.default_trial.outcome is None
    assert search.leader is not search.default_trial
    words = page_of(synthetic.recorder.folder, State.RUNNING).words
    assert f"The default is the best so far s_measure {search.default_trial.last.objective:.3f} on the" in words


def test_an_undecided_result_says_what_would_decide_it_and_how_to_run_it(copied):
    search = read_search(copied)
    winner = search.leader.name
    confirm(copied, {search.default_trial.name: [0.80, 0.81, 0.82], winner: [0.805, 0.86, 0.83]})
    words = page_of(copied, State.OVER).words
    assert f"Trial {winner} is ahead of the default, but this may be chance" in words
    pattern = r"Undecided: about \d+ more seeds? \(\d+ \w+\) would settle it .*: --seeds (3\.\.\d+)\."
    seeds = re.search(pattern, words)[1]
    assert f"python -m tuner.confirm {copied} --seeds {seeds} Copy" in words


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (State.RUNNING, "training is still running"),
        (State.CONFIRMING, "training is still running"),
        (State.INTERRUPTED, "the search was interrupted"),
    ],
)
def test_no_seeds_are_suggested_while_the_confirmation_is_not_over(copied, state, ends):
    search = read_search(copied)
    confirm(copied, {search.default_trial.name: [0.80, 0.81, 0.82], search.leader.name: [0.805, 0.86, 0.83]})
    words = page_of(copied, state).words
    assert f"Not decided yet: {ends}." in words
    assert "--seeds" not in words


def test_where_the_default_is_exported_its_value_stands_alone(copied):
    search = read_search(copied)
    confirm(copied, {search.default_trial.name: [0.80, 0.81, 0.82], search.leader.name: [0.70, 0.71, 0.72]})
    words = page_of(copied, State.OVER).words
    assert "The default is exported, no trial is better s_measure 0.810 on the test split" in words
    assert f"on the test split, trial {search.leader.name} is 0.100 worse (better on 0 of 3 seeds)." in words


def test_the_parts_of_the_time_and_what_mattered_are_on_the_page(finished):
    assert re.search(r"training \d+:\d\d waiting \d+:\d\d", finished.words)
    assert "max_lr (57%) mattered more than chance; " in finished.words
    assert "mattered most max_lr (57%) " in finished.words
    assert re.search(r" time \d+:\d\d min ", finished.words)


def test_only_differences_within_chance_are_marked_so(finished_folder):
    search = read_search(finished_folder)
    importance = measure_importance(search)
    differing = [one.parameter for one in differences(search, search.leader, importance)]
    beyond = [name for name in differing if name in importance.beyond_chance]
    words = page_of(finished_folder, State.OVER, importance=importance).words
    table = words[words.index("What differs from the default parameter") : words.index("How sure it is")]
    assert beyond
    assert table.count("within chance") == len(differing) - len(beyond)


def test_a_loop_of_the_user_s_own_without_pictures_is_offered_no_prediction(synthetic_search):
    def words(**settings):
        synthetic = synthetic_search(f"run-{len(settings)}", num_trials=2, **settings)
        synthetic.run()
        return page_of(synthetic.recorder.folder, State.OVER).words

    assert "Predict on your pictures" in words()
    of_a_loop = words(images={}, image_size_px=None)
    assert "Train it for longer" in of_a_loop
    assert "Predict on your pictures" not in of_a_loop


@pytest.mark.parametrize(("max_epochs", "epochs"), [(12, 100), (150, 300)])
def test_the_longer_training_is_longer_than_those_of_the_search(synthetic_search, max_epochs, epochs):
    synthetic = synthetic_search(num_trials=1, max_epochs=max_epochs)
    synthetic.run()
    result = read_result(synthetic.recorder.folder, synthetic.recorder.record)
    assert commands(result)["Train it for longer"].endswith(f"best/config.json --epochs {epochs}")


def test_a_search_without_a_trial_has_a_page(synthetic_search):
    words = page_of(synthetic_search().recorder.folder).words
    assert "No result yet" in words
    assert "0 of 0 trials" in words


def test_hostile_texts_are_shown_as_they_are_and_do_nothing(synthetic_search):
    recorder = synthetic_search(data=HOSTILE, limits={HOSTILE: 5.0}).recorder
    for number in range(3):
        name = trial_name(number, {})
        recorder.start(name, params={HOSTILE: f"{HOSTILE}{number}", "max_lr": 0.1}, answers={})
        recorder.result(name, epoch=1, objective=0.5, metrics={f"limit/{HOSTILE}": 1.0}, seconds=1.0)
        recorder.end(name, Outcome.FAILED, numbers={"epoch": 1, "error": HOSTILE}, epoch=1)
    harmless = page_of(synthetic_search("harmless").recorder.folder)
    page = page_of(recorder.folder)
    assert page.tags.count("script") == harmless.tags.count("script")
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in page.words
    texts = json.dumps(json.loads(page.scripts["figures"])["limit-1"])
    assert "&lt;script&gt;" in texts
    assert "<script" not in texts


def test_hostile_values_of_parameters_are_escaped_in_figures(synthetic_search):
    synthetic = synthetic_search()
    sample = synthetic.sample
    synthetic.sample = lambda number: sample(number) | {"word": f"{HOSTILE}{number % 2}"}
    synthetic.run()
    search = synthetic.recorder.record
    page = page_of(synthetic.recorder.folder, State.OVER, importance=measure_importance(search))
    figures = json.loads(page.scripts["figures"])
    assert "<script" not in json.dumps(figures)
    assert "&lt;script&gt;" in json.dumps(figures["parallel"])


def test_a_page_of_three_hundred_trials_is_below_its_limit(synthetic_search, tmp_path):
    synthetic = synthetic_search(num_trials=300, max_epochs=24)
    synthetic.run()
    search = synthetic.recorder.record
    path = write_page(read_result(synthetic.recorder.folder, search, State.OVER), tmp_path)
    assert path.stat().st_size / 1e6 < MAX_MEGABYTES / 2


def test_a_live_page_is_replaced_with_every_update_and_leaves_nothing_beside_it(synthetic_search):
    synthetic = synthetic_search()
    live, folder = LivePage(synthetic.recorder.folder), synthetic.recorder.folder
    synthetic.run(until=20)
    live.update(synthetic.recorder.record)
    early = Reader((folder / PAGE).read_text())
    synthetic.run()
    live.update(synthetic.recorder.record)
    late = Reader((folder / PAGE).read_text())
    assert early.tags.count("tr") < late.tags.count("tr")
    assert ("body", "data-live", "yes") in late.attributes
    assert [path.name for path in folder.iterdir() if "report" in path.name] == [PAGE]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0123, "0.012 s"), (42.0, "42 s"), (125.0, "2:05 min"), (5000.0, "1:23:20 h")]
)
def test_the_time_of_an_epoch_has_its_unit_however_long_it_is(synthetic_search, seconds, words):
    recorder = synthetic_search().recorder
    trial = trial_name(0, {})
    recorder.start(trial, params={}, answers={})
    recorder.result(trial, epoch=1, objective=0.5, metrics={}, seconds=seconds)
    assert facts(read_result(recorder.folder, recorder.record))["per epoch"] == words


def test_a_search_whose_trials_all_failed_has_saved_no_epochs(tmp_path):
    search = recorded(tmp_path / "run", curves=[[], []], endings={0: Outcome.FAILED, 1: Outcome.DIVERGED}, num_trials=2)
    assert facts(read_result(tmp_path / "run", search))["epochs"] == "0 of 8"


def test_a_live_page_says_how_long_the_search_or_its_confirmation_still_takes(synthetic_search):
    synthetic = synthetic_search()
    folder = synthetic.recorder.folder
    synthetic.run(until=20)
    LivePage(folder).update(synthetic.recorder.record)
    assert str(time_left(synthetic.recorder.record)) in Reader((folder / PAGE).read_text()).words
    synthetic.run()
    left = TimeLeft(shortest=125.0, likely=125.0, longest=125.0)
    LivePage(folder, State.CONFIRMING, lambda _: left).update(synthetic.recorder.record)
    assert "about 2:05" in Reader((folder / PAGE).read_text()).words
    LivePage(folder, State.CONFIRMING, lambda _: None).update(synthetic.recorder.record)
    assert "about" not in Reader((folder / PAGE).read_text()).words
