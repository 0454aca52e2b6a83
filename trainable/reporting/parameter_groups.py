"""The optimizer's groups of parameters as text: which trains at which rate, and what does not decay."""

from collections.abc import Sequence

from trainable.data.io.counted import counted
from trainable.techniques.optim.optimizer import ParameterGroup


def format_groups(groups: Sequence[ParameterGroup]) -> str:
    """One line per group, then the names of all parameters without weight decay."""
    lines = [_line(group) for group in groups]
    undecayed = [name for group in groups if not group.weight_decay for name in group.parameters]
    return "\n".join([*lines, f"without weight decay ({len(undecayed)}):", *(f"  {name}" for name in undecayed)])


def _line(group: ParameterGroup) -> str:
    numbers = sum(parameter.numel() for parameter in group.parameters.values())
    tensors = f"{counted(len(group.parameters), 'parameter')}, {numbers:,} numbers"
    return f"{group.part:<8}  peak rate {group.lr:.2e}  weight decay {group.weight_decay:g}  {tensors}"
