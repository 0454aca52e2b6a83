"""Which worker of xdist runs which tests."""

from xdist.scheduler import LoadFileScheduling

from tests.starts_ray import STARTS_RAY


class OneRayAtATime(LoadFileScheduling):
    """A file is for one worker, and all files that start Ray are for the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.startswith(STARTS_RAY) else super()._split_scope(nodeid)
