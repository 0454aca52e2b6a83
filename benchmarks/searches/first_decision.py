"""Continues a search as far as its first decision: `python -m benchmarks.searches.first_decision FOLDER`.

What `python -m tuner.search --resume` does until then, without its checks of the data and without starting Ray.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from trainable.leg import Leg
from tuner.api.searches import environment, load_libraries
from tuner.planning.plan import plan_from_records
from tuner.records import Recorder
from tuner.session import open_session


def main(arguments: Sequence[str]) -> int:
    """Prints the first trial that is decided on; returns 1 if there is none."""
    with environment():
        load_libraries()
        with closing(Recorder.resume(Path(arguments[0]))) as recorder:
            settings = recorder.record.settings
            session = open_session(recorder, plan_from_records(settings).pinned_space)
            # First the trials that were running, then, in a slot that was free, what the policy decides.
            *_, leg = [session.next_leg() for _ in range(settings.resources.concurrent)]
    sys.stdout.write(f"{leg.trial if isinstance(leg, Leg) else leg}\n")
    return 0 if isinstance(leg, Leg) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
