"""The driver's time per result and per proposal, and its memory per trial, as the number of trials grows."""

import gc
import logging
import multiprocessing
import resource
import statistics
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import optuna

from benchmarks.claims import OURS, Claim, Side
from benchmarks.harness import Size, Spread, interleaved, ratios
from benchmarks.searches.simulated_search import DRIVERS, STOCK, Simulation
from trainable.data.io.counted import counted

logger = logging.getLogger(__name__)

BLOCK = 100
"""Results that are timed together."""
MAX_PROPOSAL, MAX_MEMORY, MAX_GROWTH = 0.1, 1.5, 1.25
"""Limits of a proposal and of the memory of a trial relative to the stock driver, and of growth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs at one number of trials."""

    count: int
    result_us: tuple[float, ...]
    """Times of blocks of results."""
    proposal_ms: tuple[float, ...]
    """Times of proposals by the sampler of a search."""
    resident_kb: float
    """Memory of the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Growth of the costs of one driver."""

    costs: list[Costs]
    """Costs at each count, in order."""
    result_us: dict[int, tuple[float, ...]]
    """Times after the first and the last count, interleaved, because the machine's speed varies."""


def measure(size: Size) -> list[Claim]:
    counts = size.pick(tuple(range(1_000, 10_001, 1_000)), (10, 20))
    run = size.pick(_growth_in_fresh_process, _growth)
    growths = {name: run(name, counts, size.rounds) for name in DRIVERS}
    return [_results(growths), _proposals(growths), _memory(growths)]


def _growth_in_fresh_process(name: str, counts: tuple[int, ...], rounds: int) -> Growth:
    """Measures in a new process, so that one driver does not reuse memory that the other freed."""
    logger.info("%s, %s", name, counted(counts[-1], "trial"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (name, counts, rounds))


def _growth(name: str, counts: tuple[int, ...], rounds: int) -> Growth:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Ray's OptunaSearch warns of each proposal that takes a second on a busy machine.
    warnings.filterwarnings("ignore", message="Define-by-run function")
    with _simulated(name) as grown, _simulated(name) as young:
        costs = [_costs_at(count, grown, rounds) for count in counts]
        young.run_until(counts[0])
        sides = {counts[0]: young, counts[-1]: grown}
        blocks = interleaved(
            {str(count): partial(one.timed_results, BLOCK) for count, one in sides.items()}, rounds=rounds
        )
    return Growth(costs=costs, result_us={int(count): _microseconds(own) for count, own in blocks.items()})


@contextmanager
def _simulated(name: str) -> Iterator[Simulation]:
    with tempfile.TemporaryDirectory() as folder, closing(DRIVERS[name](Path(folder) / "search")) as driver:
        yield Simulation(driver)


def _costs_at(count: int, simulation: Simulation, rounds: int) -> Costs:
    simulation.run_until(count)
    results = _microseconds(simulation.timed_results(BLOCK) for _ in range(rounds))
    proposals = tuple(1e3 * simulation.timed_proposal() for _ in range(rounds))
    gc.collect()
    resident_kb = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    return Costs(count=count, result_us=results, proposal_ms=proposals, resident_kb=resident_kb)


def _microseconds(seconds: Iterable[float]) -> tuple[float, ...]:
    return tuple(1e6 * one for one in seconds)


def _results(growths: Mapping[str, Growth]) -> Claim:
    times = {name: Spread.of(ratios(*reversed(own.result_us.values()))).median for name, own in growths.items()}
    few, many = growths[OURS].result_us
    sides = (
        side
        for name, own in growths.items()
        for side in _ends(name, own.result_us, curve={costs.count: costs.result_us for costs in own.costs})
    )
    return Claim(
        number=8,
        work="the driver: a result",
        unit="us",
        sides=tuple(sides),
        reference=f"{OURS}, {few} trials",
        target=f"does not grow: below {MAX_GROWTH} times",
        finding=", ".join(f"{name}: {value:.2f} times from {few} to {many}" for name, value in times.items()),
        reached=times[OURS] < MAX_GROWTH,
    )


def _proposals(growths: Mapping[str, Growth]) -> Claim:
    first, *_, last = growths[OURS].costs
    spent, stock = (statistics.median(growths[name].costs[-1].proposal_ms) for name in (OURS, STOCK))
    all_ms = {name: {costs.count: costs.proposal_ms for costs in own.costs} for name, own in growths.items()}
    sides = (side for name, own in all_ms.items() for side in _ends(name, own, curve=own))
    return Claim(
        number=8,
        work="the driver: a proposal",
        unit="ms",
        sides=tuple(sides),
        reference=f"{OURS}, {first.count} trials",
        target=f"below {MAX_PROPOSAL} of stock's at {last.count} trials",
        finding=f"{spent / stock:.3f} of stock's at {last.count} trials: {spent:.1f} ms, stock {stock:.0f} ms",
        reached=spent < MAX_PROPOSAL * stock,
    )


def _memory(growths: Mapping[str, Growth]) -> Claim:
    """Memory added per trial between two counts."""
    sides = tuple(
        Side(
            name=name,
            values=tuple((b.resident_kb - a.resident_kb) / (b.count - a.count) for a, b in pairwise(own.costs)),
            curve=tuple((one.count, (one.resident_kb - own.costs[0].resident_kb) / 1024) for one in own.costs),
        )
        for name, own in growths.items()
    )
    added, stock = (statistics.median(side.values) for side in sides)
    return Claim(
        number=8,
        work="the driver: memory of a trial",
        unit="kB",
        curve_unit="MB since the first count",
        sides=sides,
        reference=OURS,
        target=f"below {MAX_MEMORY} times stock's",
        finding=f"{added:.1f} kB, stock {stock:.1f} kB",
        reached=added < MAX_MEMORY * stock,
    )


def _ends(name: str, values: Mapping[int, tuple[float, ...]], *, curve: Mapping[int, tuple[float, ...]]) -> list[Side]:
    """The values at the first and at the last count, the last with the whole curve."""
    (few, first), *_, (many, last) = values.items()
    medians = tuple((count, statistics.median(own)) for count, own in curve.items())
    return [
        Side(name=f"{name}, {few} trials", values=first),
        Side(name=f"{name}, {many} trials", values=last, curve=medians),
    ]
