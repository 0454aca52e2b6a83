"""A search read from its lines: who leads, what is unfinished, and a sentence for a line that is damaged."""

import json

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import decision, record_curve
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, SearchRecord, read_search


def test_an_empty_record_is_empty():
    search = SearchRecord(recorded_settings())
    assert (search.trials, search.default_trial, search.leader, search.elapsed) == ([], None, None, 0.0)
    assert search.is_unfinished


def test_a_search_without_results_has_no_winner(recorder):
    trial = record_curve(recorder)
    assert recorder.record.leader is None
    assert recorder.record.default_trial.name == trial


def test_an_epoch_that_is_repeated_counts_once_as_it_was_the_last_time(recorder, folder):
    trial = record_curve(recorder, 0.1, 0.2)
    recorder.result(trial, epoch=2, objective=0.3, metrics={}, seconds=0.5)
    assert [result.objective for result in read_search(folder).by_name[trial].results.values()] == [0.1, 0.3]


def test_the_winner_is_chosen_among_trials_measured_at_the_same_epoch(recorder):
    record_curve(recorder, 0.1, 0.2, 0.3, outcome=Outcome.COMPLETED)
    best = record_curve(recorder, 0.2, 0.3, 0.35, outcome=Outcome.COMPLETED)
    record_curve(recorder, 0.9, outcome=Outcome.STOPPED_AT_RUNG)
    assert recorder.record.comparison_epoch == 3
    assert recorder.record.leader.name == best


@pytest.mark.parametrize(("mode", "winner"), [("max", 2), ("min", 0)])
def test_ties_go_to_the_earlier_and_less_is_better_where_the_mode_says_so(tmp_path, mode, winner):
    recorder = Recorder.create(tmp_path / "run", recorded_settings(mode=mode))
    names = [record_curve(recorder, value) for value in (0.2, 0.2, 0.3, 0.3)]
    recorder.close()
    assert recorder.record.leader.name == names[winner]


@pytest.mark.parametrize(
    "outcome", [Outcome.DIVERGED, Outcome.FAILED, Outcome.OUT_OF_MEMORY, Outcome.EXPERTS_COLLAPSED]
)
def test_a_trial_that_broke_cannot_win(recorder, outcome):
    sound = record_curve(recorder, 0.1, 0.2, outcome=Outcome.COMPLETED)
    record_curve(recorder, 0.8, 0.9, 0.95, outcome=outcome)
    assert recorder.record.leader.name == sound


@pytest.mark.parametrize("outcome", [Outcome.PLATEAUED, Outcome.COMPLETED])
def test_a_trial_that_ended_by_itself_stands_beside_full_trainings_with_its_last_value(recorder, outcome):
    short = record_curve(recorder, 0.5, 0.8, 0.9, outcome=outcome)
    full = record_curve(recorder, 0.4, 0.5, 0.6, 0.61, outcome=Outcome.COMPLETED)
    record_curve(recorder, 0.95, outcome=Outcome.STOPPED_AT_RUNG)
    assert [trial.name for trial in recorder.record.rank(4)] == [short, full]
    assert recorder.record.leader.objective_at(4) == recorder.record.leader.measured(4).objective == 0.9


def test_a_result_that_is_not_there_is_no_result(recorder):
    untrained = recorder.record.by_name[record_curve(recorder)]
    short = recorder.record.by_name[record_curve(recorder, 0.5)]
    assert short.last_result.epoch == 1
    with pytest.raises(LookupError, match=f"{untrained.name} has no result"):
        untrained.last_result  # noqa: B018 - a property that raises
    with pytest.raises(LookupError, match=f"{short.name} has no result for epoch 2"):
        short.measured(2)


def test_a_trial_without_an_end_is_unfinished_and_may_win(recorder):
    record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    trial = record_curve(recorder, 0.2, 0.3)
    search = recorder.record
    assert [unfinished.name for unfinished in search.unfinished] == [trial]
    assert (search.leader.name, search.leader.sentence) == (trial, "unfinished after epoch 2")


def test_a_search_is_done_when_all_its_trials_have_ended_and_finished_when_that_is_on_record(recorder, folder):
    for _ in range(4):
        assert recorder.record.is_unfinished
        trial = record_curve(recorder, 0.1)
        assert recorder.record.is_unfinished
        recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=1)
    assert not recorder.record.is_unfinished
    assert not read_search(folder).is_finished
    recorder.finish()
    assert read_search(folder).is_finished
    recorder.open_session()
    assert not read_search(folder).is_finished


def test_decisions_stand_with_their_trial_in_their_order(recorder):
    one, other = record_curve(recorder, 0.1, 0.2), record_curve(recorder, 0.3)
    for trial, made in ((one, decision(1)), (other, decision(1, rank=2)), (one, decision(2, rung=2))):
        recorder.decision(trial, made)
    assert recorder.record.decisions_of(one) == [decision(1), decision(2, rung=2)]
    assert [decided.trial for decided in recorder.record.decisions] == [one, other, one]


def test_a_search_of_another_space_is_a_sentence(recorder, folder):
    with pytest.raises(ValueError, match="is a search of the space 'moe', not of 'leaf'"):
        read_search(folder, space="leaf")


def line(**changes) -> bytes:
    """A result of the second epoch, changed; None takes a field away."""
    fields = {"event": "result", "trial": "TRIAL", "epoch": 2, "time": 1.0} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


GOOD = {"objective": 0.5, "metrics": {}, "seconds": 1.0}
DECISION = {"epoch": 1, "rung": 1, "value": 0.1, "cutoff": None, "rank": 1, "of": 1, "action": "continue"}
DAMAGED = {
    "not JSON": (b"{nonsense", "it is not JSON"),
    "cut": (line(**GOOD)[:-20], "it is not JSON"),
    "an empty line": (b"", "it is not JSON"),
    "not text": (b'{"event": "\xff\xfe"}', "it is not JSON"),
    "zeros": (bytes(200), "it is not JSON"),
    "deep": (b"[" * 100_000, "it is not JSON"),
    "deep inside": (b'{"event": "start", "params": ' + b"[" * 100_000, "it is not JSON"),
    "a number": (b"3", "input should be an object, not 3"),
    "another object": (b'{"a":1}', "event is missing"),
    "an unknown event": (line(event="party"), "event 'party' is not known"),
    "without an objective": (line(), "result.objective is missing"),
    "text for a number": (line(**GOOD, epoch="2"), "result.epoch: input should be a valid integer, not '2'"),
    "a fraction of an epoch": (line(**GOOD, epoch=2.5), "result.epoch: input should be a valid integer"),
    "a number for text": (line(**GOOD, precision=16), "result.precision: input should be a valid string, not 16"),
    "NaN": (line(**GOOD | {"objective": float("nan")}), "result.objective: input should be a finite number, not nan"),
    "infinite": (line(**GOOD, time=float("inf")), "result.time: input should be a finite number, not inf"),
    "NaN in a parameter": (
        line(event="start", trial="001-0123abcd", params={"a": [float("nan")]}, answers={}, epoch=None),
        "start.params.a: nan is not a JSON number",
    ),
    "an unknown field": (line(**GOOD, colour="red"), "result.colour is not known"),
    "epoch 0": (line(**GOOD, epoch=0), "result.epoch: input should be greater than or equal to 1, not 0"),
    "a decision of text": (
        line(event="decision", decision=DECISION | {"rank": "1"}, epoch=None),
        "decision.decision.rank: input should be a valid integer, not '1'",
    ),
    "farther than any float32": (line(**GOOD | {"objective": 1e200}), "result.objective: input should be less than"),
    "an unknown outcome": (line(event="end", outcome="won"), "end.outcome: input should be 'completed', "),
}


def decided(**changes) -> bytes:
    return line(event="decision", decision=DECISION | changes, epoch=None)


def past(**changes) -> bytes:
    """A trial of an earlier search."""
    plain = {"trial": "spring/000-0123abcd", "answers": {}, "values": {"1": 0.5}, "outcome": "completed"}
    return line(event="past_trial", epoch=None, **plain | changes)


HOSTILE = ["../../victim", "..", "/etc/passwd", "000-0123abcd/..", "000-0123abcd\x00", "٠٠٠-0123abcd", ""]
FOLLOWS = {
    "past the full length": (line(**GOOD, epoch=7), "epoch 7 is past the full length of 6"),
    "an end past the full length": (line(event="end", outcome="failed", epoch=7), "epoch 7 is past"),
    "an unknown trial": (line(**GOOD, trial="000-0123abcd"), "trial 000-0123abcd has not started"),
    "a failed leg of an unknown trial": (
        line(event="leg_failed", trial="000-0123abcd", error="", epoch=None),
        "trial 000-0123abcd has not started",
    ),
    "a trial out of turn": (
        line(event="start", trial="002-0123abcd", params={}, answers={}, epoch=None),
        "trial 002-0123abcd starts, but the next number is 1",
    ),
    "a decision of another scheduler": (
        decided(action="pause"),
        "the scheduler asha-stopping does not decide to pause",
    ),
    "an unknown decision": (decided(action="party"), "the scheduler asha-stopping does not decide to party"),
    "a decision at another rung": (decided(rung=2), "epoch 1 is not rung 2"),
    "a decision at a rung that is not there": (decided(rung=9), "epoch 1 is not rung 9"),
    "a decision at no rung": (decided(rung=0), "epoch 1 is not rung 0"),
    "a promotion to where the trial is": (decided(to_epoch=1), "a trial at epoch 1 can't be promoted to epoch 1"),
    "a promotion past the full length": (decided(to_epoch=7), "a trial at epoch 1 can't be promoted to epoch 7"),
    "a result that stopped at a rung": (
        line(**GOOD, outcome="stopped_at_rung"),
        "trial TRIAL is stopped_at_rung with a result",
    ),
    "an earlier search after this one began": (
        past(),
        "past trial spring/000-0123abcd comes after a trial of this search",
    ),
    "a decision without its result": (
        line(event="decision", decision=DECISION | {"epoch": 3}, epoch=None),
        "trial TRIAL has a decision, but no result, at epoch 3",
    ),
}


@pytest.fixture
def damaged(recorder, folder):
    """A function that puts a line in the middle of the records and says what reading them raises."""

    def read(raw: bytes) -> str:
        trial = record_curve(recorder, 0.1)
        path = folder / "trials.jsonl"
        raw = raw.replace(b"TRIAL", trial.encode())
        path.write_bytes(path.read_bytes() + raw + b"\n" + b'{"event": "session_end", "time": 2.0}\n')
        with pytest.raises(ValueError, match=r"trials\.jsonl, line 3 ") as caught:
            read_search(folder)
        assert type(caught.value) is ValueError
        said = str(caught.value)
        assert said.startswith(str(path))
        assert "\n" not in said
        assert len(said) < len(str(path)) + 300
        return said.replace(trial, "TRIAL")

    return read


@pytest.mark.parametrize(("raw", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_one_sentence_with_file_and_line(damaged, raw, sentence):
    assert f"line 3 is damaged, restore the file from a copy: {sentence}" in damaged(raw)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_trial_whose_name_would_leave_the_folder_is_one_sentence(damaged, name):
    said = damaged(line(event="start", trial=name, params={}, answers={}, epoch=None))
    assert "is damaged, restore the file from a copy: start.trial: string should match pattern" in said


@pytest.mark.parametrize(("raw", "sentence"), FOLLOWS.values(), ids=FOLLOWS)
def test_a_line_that_does_not_follow_is_one_sentence_with_file_and_line(damaged, raw, sentence):
    assert f"does not follow from the lines before it, restore the file from a copy: {sentence}" in damaged(raw)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (past(values={"7": 0.5}), "does not follow .*: epoch 7 is past the full length of 6"),
        (past(values={}), "does not follow .*: spring/000-0123abcd is completed, but has no value"),
        (past(values={"0": 0.5}), "is damaged.*past_trial.values.0.*: input should be greater than or equal to 1"),
        (past(values={"1": -1e300}), "is damaged.*past_trial.values.1: input should be greater than"),
        (past(trial="000-0123abcd"), "is damaged.*past_trial.trial: string should match pattern"),
    ],
)
def test_a_trial_of_an_earlier_search_that_cannot_be_is_one_sentence(recorder, folder, raw, sentence):
    (folder / "trials.jsonl").write_bytes(raw + b"\n")
    with pytest.raises(ValueError, match=rf"line 1 {sentence}"):
        read_search(folder)


def test_an_event_of_a_trial_after_its_end_is_refused_in_one_sentence(recorder, folder):
    trial = record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(line(**GOOD).replace(b"TRIAL", trial.encode()) + b"\n")
    with pytest.raises(ValueError, match=rf"line 4 does not follow .*: trial {trial} has already ended"):
        read_search(folder)


def test_a_line_that_is_missing_from_the_middle_is_noticed_where_a_trial_starts(recorder, folder):
    for _ in range(3):
        record_curve(recorder, 0.1)
    kept = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "trials.jsonl").write_bytes(b"".join(kept[:2] + kept[4:]))
    with pytest.raises(ValueError, match=r"line 3 does not follow .* the next number is 1"):
        read_search(folder)


@pytest.mark.parametrize("empty", [lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_emptied_records_beside_checkpoints_are_a_sentence(recorder, folder, empty):
    trial = record_curve(recorder, 0.1)
    (folder / "checkpoints" / trial).mkdir(parents=True)
    empty(folder / "trials.jsonl")
    with pytest.raises(ValueError, match=r"trials\.jsonl has no trials, but .*checkpoints is not empty: restore it"):
        read_search(folder)


def test_records_without_a_trial_are_a_search_that_has_not_begun(recorder, folder):
    assert read_search(folder).trials == []
    (folder / "trials.jsonl").unlink()
    (folder / "checkpoints").mkdir()
    assert read_search(folder).trials == []
