"""The estimates of the time left are compared with the time that a finished search took."""

import pytest

from benchmarks.replay.time_left import main, moments
from tuner.records import read_search


def test_each_moment_knows_what_it_took_until_the_end(synthetic_search):
    synthetic = synthetic_search(num_trials=6)
    synthetic.run()
    synthetic.recorder.finish()
    seen = list(moments(synthetic.recorder.record, pause_seconds=3.0))
    assert len(seen) >= 4
    assert [one.took for one in seen] == pytest.approx([synthetic.now - one.seconds for one in seen], abs=0.01)
    assert all(one.estimate.shortest <= one.estimate.likely <= one.estimate.longest for one in seen)


def test_a_search_that_did_not_finish_has_no_end_to_compare_with(finished_folder, capsys):
    with pytest.raises(ValueError, match="finished, and in one session"):
        list(moments(read_search(finished_folder), pause_seconds=3.0))
    assert main([str(finished_folder)]) == 2
    assert capsys.readouterr().err == "error: A search that is finished, and in one session, is needed.\n"
