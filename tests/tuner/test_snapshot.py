"""What is kept of Ray's own account of a search."""

import tarfile

import pytest

from tuner.snapshot import Keeper

STATES = ("experiment_state-1.json", "searcher-state-1.pkl", "search_gen_state-1.json")


@pytest.fixture
def folders(tmp_path):
    """Where Ray writes, with a saved state, and the place to which it copies all that in the background."""
    written, place = tmp_path / "written", tmp_path / "place"
    for folder in (written, place):
        folder.mkdir()
    for name in STATES:
        (written / name).write_text("state")
    return written, place


def kept_setup(place) -> bytes:
    with tarfile.open(place / "kept.tar") as archive:
        assert {*STATES, "tuner.pkl"} == set(archive.getnames())
        return archive.extractfile("tuner.pkl").read()


def test_a_first_session_keeps_the_set_up_that_ray_wrote_to_its_place(folders):
    written, place = folders
    (place / "tuner.pkl").write_bytes(b"whole")
    Keeper(written, place).catch_up()
    assert kept_setup(place) == b"whole"


def test_a_resumed_session_keeps_a_whole_set_up_while_ray_is_copying_it_to_its_place(folders):
    written, place = folders
    (written / "tuner.pkl").write_bytes(b"whole")
    (place / "tuner.pkl").write_bytes(b"wh")
    Keeper(written, place).catch_up()
    assert kept_setup(place) == b"whole"
