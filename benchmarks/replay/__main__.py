"""Compares search policies on recorded learning curves, without training anything.

python -m benchmarks.replay
python -m benchmarks.replay --table taskset.npz --seeds 20 --jobs 4
python -m benchmarks.replay --surrogate lcbench --peers --tasks 126029 167149
python -m benchmarks.replay --surrogate lcbench --policies ours stock --tasks 126029 167149
python -m benchmarks.replay --wide --peers --workers 16
python -m benchmarks.replay --noise 0.3
python -m benchmarks.replay --search results/moe/2026-11-20_10-00-00
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.replay.peer_process.process import MODULES as PEERS
from benchmarks.replay.peer_process.process import PYTHON as PEERS_PYTHON
from benchmarks.replay.peer_process.process import PeerError
from benchmarks.replay.policies import POLICIES
from benchmarks.replay.report import write_report
from benchmarks.replay.run import Job, problems_of, run_job
from trainable.console.command_line import error_line

RUNS = "runs.jsonl"
POOR_FIRST_RUNG = 1
"""Ray's default. Policies of Ray are also tried with it, and shown with the better one."""
BESIDE_PEERS = ("ours", "random+asha", "stock", *PEERS)
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 1 a peer or process failed, 2 user error, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        _check_numbers(options)
        suite = _suite(options)
        folder = options.out or Path("results") / "replay" / Path(suite.rpartition(":")[2]).stem
        jobs = _jobs(suite, options)
        run_jobs(jobs, folder / RUNS, processes=options.jobs)
        runs = read_runs(folder / RUNS, jobs)
        sys.stdout.write(write_report(runs, folder) + f"\n{folder}\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    except BrokenProcessPool:
        sys.stderr.write(
            "error: a process of the comparison was killed, perhaps for its memory. What ended is kept; "
            "run the same command again, with fewer --jobs.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command to continue.\n")
        return 130
    if missing := len(jobs) - len(runs):
        sys.stderr.write(f"{missing} of {len(jobs)} searches are missing. Run the same command to try them again.\n")
    return 1 if missing else 0


def run_jobs(jobs: Sequence[Job], path: Path, *, processes: int = 1) -> None:
    """Runs the jobs that are not in the file yet, and appends each when it is done."""
    done = {_job_of(run) for run in _read(path)}
    missing = [job for job in jobs if job not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, _progress(len(jobs), len(jobs) - len(missing)) as advance:
        for run in _results(missing, processes):
            file.write(json.dumps(run) + "\n")
            file.flush()
            advance()


def read_runs(path: Path, jobs: Iterable[Job]) -> list[dict]:
    """Reads the runs of these jobs, one of each."""
    recorded = {_job_of(run): run for run in _read(path)}
    return [recorded[job] for job in jobs if job in recorded]


def first_rung(max_epochs: int) -> int:
    """An eighteenth of the full length: late enough for ranks to be meaningful."""
    return max(1, round(max_epochs / 18))


def _results(jobs: Sequence[Job], processes: int) -> Iterator[dict]:
    """Runs the jobs in new processes, even a single one: numpy reads the thread variables when it is loaded."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(run_job, job) for job in jobs]
        try:
            for future in as_completed(waiting):
                # One peer that fails must not end a comparison of hours.
                try:
                    yield future.result()
                except PeerError as error:
                    sys.stderr.write(f"{error}\n")
        finally:
            pool.shutdown(cancel_futures=True)


def _jobs(suite: str, options: argparse.Namespace) -> list[Job]:
    """The searches, each once; seed by seed, so that an interrupted comparison has whole seeds."""
    problems = problems_of(suite)
    unknown = sorted(set(options.tasks or ()) - problems.keys())
    if unknown:
        raise ValueError(f"--tasks {unknown[0]} is not among the tasks: {', '.join(problems)}")
    policies = options.policies or (BESIDE_PEERS if options.peers else POLICIES)
    if not PEERS_PYTHON.exists() and not PEERS.keys().isdisjoint(policies):
        raise ValueError(f"the peers need an environment of their own, {PEERS_PYTHON}: make peers")
    jobs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name in options.tasks or problems:
            own = first_rung(problems[name].max_epochs)
            for policy in policies:
                rungs = {own, POOR_FIRST_RUNG} if policy in ("stock", "stock-told") else {own}
                jobs += [
                    Job(
                        suite=suite,
                        problem=name,
                        policy=policy,
                        grace_epochs=rung,
                        slots=options.workers,
                        seed=seed,
                        noise=options.noise,
                    )
                    for rung in sorted(rungs)
                ]
    return list(dict.fromkeys(jobs))


def _check_numbers(options: argparse.Namespace) -> None:
    for name, least in (("seeds", 1), ("first_seed", 0), ("workers", 1), ("jobs", 1), ("noise", 0)):
        if not least <= (number := getattr(options, name)) < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')} is {number:g}; it must be {least} or more")


def _suite(options: argparse.Namespace) -> str:
    for kind in ("table", "surrogate", "search"):
        path = getattr(options, kind)
        if path is not None:
            if not path.exists():
                raise ValueError(f"--{kind} {path} does not exist")
            return f"{kind}:{path}"
    return "wide" if options.wide else "synthetic"


def _read(path: Path) -> list[dict]:
    """The complete lines; removes an incomplete one that a kill left."""
    if not path.exists():
        return []
    *complete, torn = path.read_text().split("\n")
    if torn:
        path.write_text("".join(f"{line}\n" for line in complete))
    return [json.loads(line) for line in complete]


def _job_of(run: dict) -> Job:
    """Job of a recorded run; older versions lack later fields."""
    return Job(**{"rules": 1} | {name: run[name] for name in Job.__dataclass_fields__ if name in run})


@contextmanager
def _progress(total: int, done: int):
    columns = (TextColumn("Searches"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The searches of one task differ by a factor of fifty: the rate is that of the last hour.
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=3600) as progress:
        task = progress.add_task("", total=total, completed=done)
        yield lambda: progress.advance(task)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replay", description="Compare search policies on recorded learning curves."
    )
    curves = parser.add_mutually_exclusive_group()
    curves.add_argument("--table", type=Path, metavar="FILE", help="a table of curves in the form of taskset.npz")
    curves.add_argument("--surrogate", type=Path, metavar="DIR", help="the LCBench surrogate")
    curves.add_argument("--wide", action="store_true", help="generated: 5, 12, 25 parameters, and 18 conditional ones")
    curves.add_argument("--search", type=Path, metavar="DIR", help="a past search, results/<space>/<run>")
    policies = parser.add_mutually_exclusive_group()
    policies.add_argument(
        "--policies", nargs="+", metavar="NAME", choices=[*POLICIES, *PEERS], help=f"default: {', '.join(POLICIES)}"
    )
    policies.add_argument(
        "--peers", action="store_true", help=f"{', '.join(BESIDE_PEERS)}; `make peers` installs the last {len(PEERS)}"
    )
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--seeds", type=int, metavar="N", default=5, help="searches per policy and task (default: 5)")
    parser.add_argument("--first-seed", type=int, metavar="N", default=0)
    parser.add_argument("--workers", type=int, metavar="N", default=4, help="trials at a time (default: 4)")
    parser.add_argument(
        "--noise",
        type=float,
        metavar="SHARE",
        default=0.0,
        help="added to each value, as a share of the configurations' spread at its epoch (default: 0)",
    )
    parser.add_argument("--jobs", type=int, metavar="N", default=1, help="processes (default: 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: results/replay/<curves>)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
