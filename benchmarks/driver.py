"""What the process that drives a search spends on a result and a proposal, and keeps of a trial, as trials add up."""

import gc
import logging
import multiprocessing
import resource
import statistics
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import optuna

from benchmarks.claims import OURS, Claim, Side
from benchmarks.harness import Size
from benchmarks.simulated_search import DRIVERS, STOCK, Simulation

logger = logging.getLogger(__name__)

BLOCK = 40
MAX_PROPOSAL_MS, MAX_TRIAL_KB, MAX_GROWTH = 50.0, 20.0, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """At one number of trials."""

    count: int
    result_us: tuple[float, ...]
    """Of the last results, as means of blocks, for one in ten comes to a rung and costs more than the others."""
    proposal_ms: tuple[float, ...]
    """Of each proposal by the sampler of a search."""
    resident_kb: float
    """Memory of the process."""


Growth = dict[str, list[Costs]]
"""By driver, at each count."""


def measure(size: Size) -> list[Claim]:
    counts = size.pick(tuple(range(1_000, 10_001, 1_000)), (10, 20))
    run = size.pick(_in_a_process_of_its_own, _costs)
    growth = {name: run(name, counts, size.rounds) for name in DRIVERS}
    return [_results(growth), _proposals(growth), _memory(growth)]


def _in_a_process_of_its_own(name: str, counts: tuple[int, ...], rounds: int) -> list[Costs]:
    """So that the memory of one driver is not taken from what the other gave back."""
    logger.info("%s, %d trials", name, counts[-1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_costs, (name, counts, rounds))


def _costs(name: str, counts: tuple[int, ...], rounds: int) -> list[Costs]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Ray's bridge says so of each of its proposals that takes a second on a busy machine.
    warnings.filterwarnings("ignore", message="Define-by-run function")
    with tempfile.TemporaryDirectory() as folder, closing(DRIVERS[name](Path(folder) / "search")) as driver:
        simulation = Simulation(driver, results_kept=BLOCK * rounds)
        return [_costs_at(count, simulation, rounds) for count in counts]


def _costs_at(count: int, simulation: Simulation, rounds: int) -> Costs:
    simulation.run_until(count)
    results = _block_means([1e6 * seconds for seconds in simulation.result_seconds])
    proposals = tuple(1e3 * simulation.timed_proposal() for _ in range(rounds))
    gc.collect()
    return Costs(count=count, result_us=results, proposal_ms=proposals, resident_kb=_resident_kb())


def _block_means(values: Sequence[float]) -> tuple[float, ...]:
    blocks = (list(islice(values, start, start + BLOCK)) for start in range(0, len(values), BLOCK))
    return tuple(statistics.mean(block) for block in blocks)


def _resident_kb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


def _results(growth: Growth) -> Claim:
    few, many = growth[OURS][0].count, growth[OURS][-1].count
    medians = {name: [statistics.median(costs.result_us) for costs in own] for name, own in growth.items()}
    times = {name: own[-1] / own[0] for name, own in medians.items()}
    return Claim(
        number=8,
        work="the driver: a result",
        unit="us",
        sides=_first_and_last(growth, "result_us"),
        reference=f"{OURS}, {few} trials",
        target=f"does not grow: at most {MAX_GROWTH} times, which a busy machine alone makes of it",
        finding=", ".join(f"{name}: {value:.2f} times from {few} to {many}" for name, value in times.items()),
        reached=times[OURS] <= MAX_GROWTH,
    )


def _proposals(growth: Growth) -> Claim:
    few, many = growth[OURS][0].count, growth[OURS][-1].count
    spent = statistics.median(growth[OURS][-1].proposal_ms)
    return Claim(
        number=8,
        work="the driver: a proposal",
        unit="ms",
        sides=_first_and_last(growth, "proposal_ms"),
        reference=f"{OURS}, {few} trials",
        target=f"below {MAX_PROPOSAL_MS:.0f} ms at {many} trials",
        finding=f"{spent:.1f} ms at {many} trials, stock {statistics.median(growth[STOCK][-1].proposal_ms):.0f} ms",
        reached=spent < MAX_PROPOSAL_MS,
    )


def _memory(growth: Growth) -> Claim:
    """What each stretch between two counts has added, a trial."""
    sides = tuple(
        Side(
            name=name,
            values=tuple((b.resident_kb - a.resident_kb) / (b.count - a.count) for a, b in pairwise(own)),
            curve=tuple((costs.count, (costs.resident_kb - own[0].resident_kb) / 1024) for costs in own),
        )
        for name, own in growth.items()
    )
    added = statistics.median(sides[0].values)
    return Claim(
        number=8,
        work="the driver: memory of a trial",
        unit="kB",
        curve_unit="MB since the first count",
        sides=sides,
        reference=OURS,
        target=f"below {MAX_TRIAL_KB:.0f} kB a trial",
        finding=f"{added:.1f} kB",
        reached=added < MAX_TRIAL_KB,
    )


def _first_and_last(growth: Growth, cost: str) -> tuple[Side, ...]:
    """Both ends of each driver, the last with the whole curve."""
    sides = []
    for name, own in growth.items():
        curve = tuple((costs.count, statistics.median(getattr(costs, cost))) for costs in own)
        sides.append(Side(name=f"{name}, {own[0].count} trials", values=getattr(own[0], cost)))
        sides.append(Side(name=f"{name}, {own[-1].count} trials", values=getattr(own[-1], cost), curve=curve))
    return tuple(sides)
