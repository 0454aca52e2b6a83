"""One machine at a time continues a search from its store; a lease that nobody renews is taken over."""

import inspect
import json
import os
import platform
import time
from pathlib import Path

import pytest

from tuner.storage.lease import LOOK_SECONDS, RENEWED_SECONDS, SETTLING_SECONDS, WATCHED_SECONDS, Lease, LeaseLostError


class Machine:
    """Its pauses, and what happens in the store during each."""

    def __init__(self, store: str) -> None:
        self.file = Path(store.removeprefix("file://"), ".lease")
        self.pauses: list[float] = []
        self.meanwhile = lambda: None
        self.now = 0.0
        self.lease = Lease(store, pause=self.pause, clock=lambda: self.now)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()

    def found(self, **changes: object) -> None:
        """A lease of another machine lies in the store."""
        owner = {
            "id": "theirs",
            "process": 7,
            "host": "elsewhere",
            "since": "noon",
            "command": "search",
            "written": 1,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(owner | changes))

    @property
    def owner(self) -> str | None:
        return json.loads(self.file.read_text())["id"] if self.file.exists() else None


@pytest.fixture
def machine(tmp_path):
    return Machine(f"file://{tmp_path}/store")


def test_a_lease_is_there_until_its_owner_gives_it_back(machine):
    assert machine.lease.take() is None
    machine.lease.renew()
    assert (machine.pauses, machine.owner is not None) == ([SETTLING_SECONDS], True)
    machine.lease.release()
    assert machine.owner is None


def test_a_renewed_lease_is_refused_with_its_owner(machine):
    machine.found()
    machine.meanwhile = lambda: machine.found(written=1 + len(machine.pauses) // 5)
    with pytest.raises(ValueError, match=r"in use by process 7 on elsewhere since noon \(search\); wait until"):
        machine.lease.take()
    assert (machine.owner, machine.pauses) == ("theirs", [LOOK_SECONDS] * 5)


def test_a_lease_that_is_not_renewed_is_taken_over_and_reported(machine):
    machine.found()
    said = machine.lease.take()
    assert said is not None
    assert said.endswith("store is taken over from process 7 on elsewhere since noon (search), which is gone.")
    assert sum(machine.pauses) == WATCHED_SECONDS + SETTLING_SECONDS
    assert machine.owner != "theirs"


def test_a_lease_released_during_the_wait_is_taken(machine):
    machine.found()
    machine.meanwhile = lambda: machine.file.unlink(missing_ok=len(machine.pauses) > 1)
    assert machine.lease.take()


def test_a_renewed_lease_of_a_machine_whose_clock_is_hours_behind_is_refused(machine):
    """Former versions wrote the time, by the clock of their machine."""
    machine.found(renewed=-7200.0)

    def renew():
        if machine.owner == "theirs":
            machine.found(renewed=-7200.0 + len(machine.pauses) // 5)

    machine.meanwhile = renew
    with pytest.raises(ValueError, match="is in use by process 7 on elsewhere"):
        machine.lease.take()
    assert machine.owner == "theirs"


def test_a_lease_is_renewed_every_fifteen_seconds_by_a_monotonic_clock(machine):
    assert inspect.signature(Lease).parameters["clock"].default is time.monotonic
    machine.lease.take()
    written = [machine.file.read_bytes()]
    for machine.now in (RENEWED_SECONDS - 1, RENEWED_SECONDS, 2 * RENEWED_SECONDS):
        machine.lease.renew()
        written.append(machine.file.read_bytes())
    assert written[0] == written[1]
    assert len(set(written)) == 3


def test_a_lease_of_an_ended_process_here_is_taken_over_at_once(machine):
    namespace = str(Path("/proc/self/ns/pid").readlink())
    machine.found(host=platform.node(), space=namespace, process=2**30)
    assert machine.lease.take()
    assert machine.pauses == [SETTLING_SECONDS]


def test_a_lease_of_a_running_process_here_is_refused_at_once(machine):
    assert Lease(machine.lease.store, pause=lambda seconds: None).take() is None
    with pytest.raises(ValueError, match="is in use by"):
        machine.lease.take()
    assert machine.pauses == []


def test_a_lease_whose_process_number_was_reused_here_is_taken_over_at_once(machine):
    here = {"host": platform.node(), "space": str(Path("/proc/self/ns/pid").readlink()), "process": os.getpid()}
    machine.found(**here, birth="an-earlier-boot 1234")
    assert machine.lease.take()
    assert machine.pauses == [SETTLING_SECONDS]


def test_a_lease_of_an_older_version_with_a_process_number_alone_is_refused_while_the_process_runs(machine):
    machine.found(host=platform.node(), space=str(Path("/proc/self/ns/pid").readlink()), process=os.getpid())
    with pytest.raises(ValueError, match="is in use by"):
        machine.lease.take()


def test_of_two_takers_at_once_the_later_one_holds_the_lease(machine):
    machine.meanwhile = machine.found
    with pytest.raises(ValueError, match="store is in use by process 7 on elsewhere"):
        machine.lease.take()
    machine.lease.release()
    assert machine.owner == "theirs"


def test_a_lease_that_was_taken_over_is_lost_and_left_alone(machine):
    machine.lease.take()
    machine.found()
    with pytest.raises(LeaseLostError, match="store is continued by process 7 on elsewhere"):
        machine.lease.renew()
    machine.lease.release()
    assert machine.owner == "theirs"


def test_an_unreadable_lease_is_replaced(machine):
    machine.found()
    machine.file.write_text("[]")
    assert machine.lease.take() is None
