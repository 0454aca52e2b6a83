"""Records copies between the CPU and torch's meta device, which stands for a GPU."""

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class MadeThere(TorchFunctionMode):
    """Counts tensors that are made on the meta device of Python's numbers: a copy that waits, which torch dispatches
    as none.
    """

    def __init__(self, made: list[str]) -> None:
        super().__init__()
        self._made = made

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **kwargs or {})
        if function in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and made.device.type == "meta":
            self._made.append(function.__name__)
        return made


class Crossings(TorchDispatchMode):
    """Counts reads from the meta device, answered with ones, and copies to it that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.waiting_copies: list[str] = []
        self._made_there = MadeThere(self.waiting_copies)

    def __enter__(self):
        self._made_there.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._made_there.__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, function.name()
        source = args[0].device.type if args and isinstance(args[0], Tensor) else None
        if name == "aten::_local_scalar_dense" and source == "meta":
            self.reads.append(name)
            return 1.0 if args[0].is_floating_point() else 0
        if name == "aten::_to_copy" and kwargs.get("device") is not None:
            target = torch.device(kwargs["device"]).type
            if (source, target) == ("meta", "cpu"):
                self.reads.append(name)
                return torch.ones(args[0].shape, dtype=args[0].dtype)
            if (source, target) == ("cpu", "meta") and not kwargs.get("non_blocking"):
                self.waiting_copies.append(name)
        return function(*args, **kwargs)
