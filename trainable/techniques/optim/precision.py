"""Mixed precision: which number format a device really computes in, and loss scaling where the format needs it.

What: fp16 halves memory and doubles speed on tensor cores but has a narrow range, so the loss is scaled up before
the backward pass; bf16 has the range of fp32 and needs no scaling. A request that the device cannot serve is
resolved to what it can, and the reason is kept: `Precision.name` is what is in effect.
Source: Micikevicius et al., Mixed Precision Training, 2018, https://arxiv.org/abs/1710.03740.
Cost: none in fp32. Off: `use_amp=False` or `precision="fp32"`.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

logger = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "fp16", "bf16")
WITHOUT_BF16 = "this CPU has no instructions for it: expect it to be slower than fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The format in effect on one device."""

    name: str
    """fp32, fp16 or bf16."""
    device_type: str
    reason: str
    """Why this format: what was asked for and what the device offers."""

    def autocast(self) -> AbstractContextManager:
        """Context in which matrix products and convolutions run in this format."""
        dtype = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[self.name]
        return nullcontext() if dtype is None else torch.autocast(self.device_type, dtype=dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """The loss scaler; it passes everything through unchanged unless the format is fp16."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def resolve_precision(requested: str, device: torch.device) -> Precision:
    """The format that `device` computes in when this one is requested.

    "auto" takes bf16 on CUDA devices that have it, fp16 on older ones, and fp32 elsewhere. A CPU and an Apple
    GPU serve bf16 but not fp16: its convolutions have no fast path on a CPU, and its scaled loss is untested on an
    Apple GPU.

    Raises:
        ValueError: `requested` is not one of "auto", "fp32", "fp16", "bf16".
    """
    if requested not in PRECISIONS:
        raise ValueError(f"precision is {requested!r}; allowed: {', '.join(PRECISIONS)}.")
    if device.type == "cuda":
        name, reason = _on_cuda(requested)
    elif requested == "bf16":
        # Without instructions for it torch converts each number, there and back.
        instructions = [name for name, value in torch.cpu.get_capabilities().items() if value is True]
        has_fast_bf16 = device.type != "cpu" or any(name.endswith("bf16") for name in instructions)
        name = "bf16"
        reason = f"asked for; {device.type} has bf16 autocast" if has_fast_bf16 else f"asked for; {WITHOUT_BF16}"
        if not has_fast_bf16:
            _warn_once()
    elif requested == "fp32":
        name, reason = "fp32", "asked for"
    else:
        lacks = "is not tried in fp16" if device.type == "mps" else "has no fast 16-bit path"
        name, reason = "fp32", f"{requested} was asked for, and {device.type} {lacks}"
    return Precision(name=name, device_type=device.type, reason=reason)


@cache
def _warn_once() -> None:
    logger.warning("precision is bf16, and %s; auto and fp32 train in fp32.", WITHOUT_BF16)


def _on_cuda(requested: str) -> tuple[str, str]:
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if requested == "auto":
        return ("bf16", "the device has bf16") if has_bf16 else ("fp16", "the device has no bf16")
    if requested == "bf16" and not has_bf16:
        return "fp16", "bf16 was asked for, and the device has none"
    return requested, "asked for"
