"""`python -m benchmarks.gpu.piece NAME DEVICE FILE [--tiny]`: measures one piece and writes what came of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from benchmarks.gpu import result
from benchmarks.gpu.pieces import PIECES
from benchmarks.gpu.result import Result
from benchmarks.gpu.work import MissingPackageError
from benchmarks.harness import Size


def main(arguments: Sequence[str]) -> int:
    name, device, file, *rest = arguments
    size = Size(rounds=1, is_tiny=True) if "--tiny" in rest else Size(rounds=5)
    # Of the reference; our own precisions set what they need.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if device == "cpu":
        torch.set_num_threads(1)
    result.write(Path(file), {name: outcome(name, device, size)})
    return 0


def outcome(name: str, device: str, size: Size) -> Result:
    """The numbers of a piece, or why there are none."""
    here: dict[str, Any] = {"commit": record.commit(), "machine": record.machine(), "seconds": 0.0}
    try:
        return Result(status="measured", numbers=tuple(PIECES[name].measure(device, size)), **here)
    except (MissingPackageError, ModuleNotFoundError) as missing:
        return Result(status="skipped", note=str(missing), **here)
    except (AssertionError, RuntimeError) as error:
        return Result(status="failed", note=str(error), **here)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
