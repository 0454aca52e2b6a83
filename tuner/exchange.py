"""Writes a trained network for other programs, as ONNX or as a program of torch.export, and checks it.

What: images (B, 3, H, W) in [0, 1], of the size that it predicts at and for any B, to the logits of its predictions;
    the network normalises them itself. Experts are in their dense form.
Check: both get the same fresh random images, in batches of other sizes than the one it was traced with; the largest
    difference of a logit must stay below TOLERANCE, relative to the largest logit where that is above 1.
Cost: a trace of the network, ten seconds to a minute.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trainable.console.command_line import unnamed_errors_name
from trainable.models.dense_experts import with_dense_experts
from trainable.models.output import ModelOutput, as_model_output
from trainable.predict import TrainedModel
from trainable.tasks.registry import get_task
from trainable.workloads.loop_workload import LoopWorkload
from trainable.workloads.registry import get_workload

ONNX, PROGRAM = "model.onnx", "model.pt2"
TOLERANCE = 1e-4
BATCHES = (1, 3)
"""Images in the batches of the check; the trace has two."""
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_PROBE_SIDE_PX = 256


def write_program(model: TrainedModel, path: Path) -> float:
    """Writes a program that `torch.export.load(path).module()` runs; returns the largest difference of a logit.

    Raises:
        ValueError: this network cannot be exported, or the program does not compute the same.
        OSError: the disk is full, or can't be written to.
    """
    program = _traced(model)
    # By way of memory: at a full disk the writer of torch ends the process.
    content = io.BytesIO()
    torch.export.save(program, content)
    with _whole_or_not_at_all(path):
        path.write_bytes(content.getbuffer())
    loaded = torch.export.load(path).module()
    return _checked(model, loaded, path)


def write_onnx(model: TrainedModel, path: Path) -> float:
    """Writes an ONNX model, input `images`, output `logits`; returns the largest difference of a logit.

    Raises:
        ValueError: a package is missing, this network cannot be exported, or ONNX Runtime does not compute the same.
        OSError: the disk is full, or can't be written to.
    """
    check_onnx()
    import onnxruntime

    with warnings.catch_warnings():
        # The exporter's own use of what torch is about to rename.
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))
        traced, names = _traced(model), (["images"], ["logits"])
        written = torch.onnx.export(traced, dynamo=True, verbose=False, input_names=names[0], output_names=names[1])
        assert written is not None
        with _whole_or_not_at_all(path):
            written.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return _checked(model, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), path)


def check_onnx() -> None:
    """Raises ValueError when a package is missing that ONNX needs."""
    if any(find_spec(package) is None for package in _PACKAGES):
        raise ValueError("--onnx needs its packages; install them with: pip install 'vision-tuner[onnx]'.")


def check_exchangeable(workload: str) -> None:
    """Raises ValueError for a workload whose network no fixed graph can hold or nobody here can build: why."""
    if isinstance(get_workload(workload), LoopWorkload):
        raise ValueError(
            f"The network of {workload}, a loop of your own, is built by your code alone; load best/weights.pt there, "
            "and call torch.onnx.export or torch.export.export."
        )
    reason = get_task(workload).not_exchangeable
    if reason is not None:
        raise ValueError(f"The network of {workload} can't be written as ONNX or torch.export: {reason}")


def input_size(model: TrainedModel) -> tuple[int, int]:
    """Height and width in pixels of the network's input."""
    seen: list[Tensor] = []

    def look(images: Tensor) -> ModelOutput:
        seen.append(images)
        return as_model_output(model.network(images.to(model.device)))

    pixels = np.random.default_rng(0).integers(0, 256, (_PROBE_SIDE_PX, _PROBE_SIDE_PX, 3)).astype(np.uint8)
    model.predictor(look, Image.fromarray(pixels))
    return seen[0].shape[-2], seen[0].shape[-1]


class _Logits(nn.Module):
    """Wraps a network to return only the logits of its predictions."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return as_model_output(self.network(images)).predictions


def _traced(model: TrainedModel) -> torch.export.ExportedProgram:
    check_exchangeable(model.config.workload)
    # A program's file holds no channels-last weights.
    logits = _Logits(with_dense_experts(model.network).cpu().to(memory_format=torch.contiguous_format)).eval()
    images = _fresh_images(2, input_size(model))
    return torch.export.export(logits, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


@contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[None]:
    """Removes a partial file after an error, and names the file in the error."""
    try:
        with unnamed_errors_name(path):
            yield
    except OSError:
        # Of a large network ONNX has a second file, with its weights.
        for part in (path, path.with_name(f"{path.name}.data")):
            part.unlink(missing_ok=True)
        raise


@torch.no_grad()
def _checked(model: TrainedModel, written: Callable[[Tensor], Tensor], path: Path) -> float:
    """Returns the largest difference over the batches of the check; removes a file whose result differs."""
    network, largest, scale = _Logits(model.network.cpu()), 0.0, 1.0
    for number in BATCHES:
        images = _fresh_images(number, input_size(model))
        expected, found = network(images), written(images)
        # Unlike `max`, it keeps what is not a number.
        largest = float(np.maximum(largest, float((found - expected).abs().max())))
        scale = max(scale, float(expected.abs().max()))
    if not largest <= TOLERANCE * scale:
        path.unlink()
        raise ValueError(
            f"{path} would differ from the network by {largest:.3g} in a logit, more than {TOLERANCE * scale:.3g}; it "
            "was not kept."
        )
    return largest


def _fresh_images(number: int, size: tuple[int, int]) -> Tensor:
    return torch.rand((number, 3, *size), generator=torch.Generator().manual_seed(1000 + number))
