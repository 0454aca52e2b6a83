"""Where checkpoints lie, which one counts, and that nothing outside the search's own folder is ever touched."""

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import record_curve
from trainable.leg import checkpoint_name
from tuner.budget.disk import CheckpointBudget
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, read_search
from tuner.records.checkpoints import last_checkpoint, remove_leftovers, remove_others, trial_folder


def put(folder, trial, *names):
    place = trial_folder(folder, trial)
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).write_bytes(b"0" * 1000)
    return place


def names(place):
    return sorted(path.name for path in place.iterdir())


def test_the_last_checkpoint_is_that_of_the_last_epoch_on_record(recorder, folder):
    trial = record_curve(recorder, 0.1, 0.2)
    place = put(folder, trial, *map(checkpoint_name, (1, 2, 3)))
    assert last_checkpoint(folder, recorder.record.by_name[trial]) == place / "epoch_0002.pt"


def test_where_it_is_lost_or_nothing_was_trained_there_is_none(recorder, folder):
    trial, fresh = record_curve(recorder, 0.1, 0.2), record_curve(recorder)
    put(folder, trial, checkpoint_name(1))
    (put(folder, fresh) / checkpoint_name(0)).touch()
    for record in recorder.record.trials:
        assert last_checkpoint(folder, record) is None


def test_only_the_checkpoint_of_one_epoch_stays(folder):
    place = put(folder, "000-0123abcd", "epoch_0001.pt", "epoch_0002.pt", "epoch_0003.pt", ".epoch_0003.pt.123")
    other = put(folder, "001-0123abcd", "epoch_0001.pt")
    remove_others(folder, "000-0123abcd", 2)
    assert (names(place), names(other)) == (["epoch_0002.pt"], ["epoch_0001.pt"])


def test_what_is_no_checkpoint_stays(folder):
    place = put(folder, "000-0123abcd", "epoch_0001.pt", "notes.txt")
    remove_others(folder, "000-0123abcd", 2)
    assert names(place) == ["notes.txt"]


def test_where_there_is_no_folder_nothing_is_to_be_removed(folder):
    remove_others(folder, "000-0123abcd", 2)


def test_what_a_kill_left_is_removed_and_what_is_on_record_stays(recorder, folder):
    trial, fresh = record_curve(recorder, 0.1, 0.2), record_curve(recorder)
    place = put(folder, trial, "epoch_0001.pt", "epoch_0002.pt", "epoch_0003.pt", ".epoch_0003.pt.99")
    begun = put(folder, fresh, ".epoch_0001.pt.99")
    stranger = put(folder, "not-a-trial", "epoch_0001.pt")
    remove_leftovers(folder, read_search(folder))
    assert names(place) == ["epoch_0002.pt"]
    assert names(stranger) == ["epoch_0001.pt"]
    assert last_checkpoint(folder, recorder.record.by_name[fresh]) is None
    assert names(begun) == []


def test_without_checkpoints_there_are_no_leftovers(recorder, folder):
    remove_leftovers(folder, recorder.record)


@pytest.fixture
def victim(tmp_path):
    """A file beside the results, as it was before."""
    path = tmp_path / "victim" / "epoch_0001.pt"
    path.parent.mkdir()
    path.write_bytes(b"precious")
    yield path
    assert path.read_bytes() == b"precious"


def test_a_disk_budget_is_not_kept_at_the_cost_of_what_a_link_points_to(recorder, folder, victim):
    """A trial's folder that is a link to somewhere else."""
    record_curve(recorder, 0.9, outcome=Outcome.COMPLETED)
    trial = record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    put(folder, recorder.record.trials[0].name, checkpoint_name(1))
    (folder / "checkpoints" / trial).symlink_to(victim.parent)
    recorder.change(disk_budget_bytes=1)
    CheckpointBudget(folder, recorder.record)


def test_a_folder_with_a_trials_name_that_is_a_link_keeps_what_it_points_to(recorder, folder, victim):
    trial = record_curve(recorder, 0.1, 0.2)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / trial).symlink_to(victim.parent)
    remove_others(folder, trial, 2)
    remove_leftovers(folder, recorder.record)


def test_records_that_name_a_folder_elsewhere_are_refused_before_room_is_made(recorder, folder, victim):
    """Trimming checkpoints reads the records first."""
    trial = record_curve(recorder, 0.1, outcome=Outcome.STOPPED_AT_RUNG)
    path = folder / "trials.jsonl"
    path.write_text(path.read_text().replace(trial, "../../../victim"))
    with pytest.raises(ValueError, match=r"trials\.jsonl, line 1 is damaged"):
        CheckpointBudget(folder, read_search(folder))


def test_room_made_in_one_search_leaves_the_same_trial_of_another_alone(folder):
    search = Recorder.create(folder.with_name("small"), recorded_settings(disk_budget_bytes=1))
    record_curve(search, 0.9, outcome=Outcome.COMPLETED)
    worst = record_curve(search, 0.1, outcome=Outcome.STOPPED_AT_RUNG)
    place = put(search.folder, worst, checkpoint_name(1))
    other = put(folder, worst, checkpoint_name(1))
    CheckpointBudget(search.folder, search.record)
    search.close()
    assert not place.exists()
    assert names(other) == [checkpoint_name(1)]
