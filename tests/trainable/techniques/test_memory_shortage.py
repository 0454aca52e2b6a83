"""Every way in which torch says that memory is short gives one error with what was asked for and what there was."""

import gc
import pickle
import weakref

import numpy as np
import psutil
import pytest
import torch

from trainable.techniques.memory import MemoryShortage, as_shortage, shortages_named

CUDA = (
    "CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total capacity of 14.57 GiB of which 612.50 MiB is "
    "free. Process 2493055 has 12.02 GiB memory in use. Including non-PyTorch memory, this process has 966.00 MiB "
    "memory in use. Of the allocated memory 734.07 MiB is allocated by PyTorch, and 33.93 MiB is reserved."
)


def test_an_absurd_allocation_on_the_cpu_says_what_was_asked_for_and_what_there_is():
    with pytest.raises(MemoryShortage, match="DefaultCPUAllocator") as caught, shortages_named():
        torch.empty(10**15, dtype=torch.float32)
    assert caught.value.asked_bytes == 4 * 10**15
    assert 0 < caught.value.available_bytes <= psutil.virtual_memory().total


def test_an_absurd_allocation_of_numpy_is_a_shortage_too():
    with pytest.raises(MemoryShortage, match="Unable to allocate") as caught, shortages_named():
        np.empty(2**46)
    assert caught.value.asked_bytes == 2**49
    assert 0 < caught.value.available_bytes <= psutil.virtual_memory().total


def test_the_message_of_a_gpu_is_read():
    shortage = as_shortage(torch.OutOfMemoryError(CUDA))
    assert shortage.numbers == {"asked_bytes": round(1.95 * 2**30), "available_bytes": round(612.5 * 2**20)}
    assert str(shortage) == CUDA


@pytest.mark.parametrize("unit", ["GB", "GiB"])
def test_the_message_of_an_apple_gpu_is_read(unit):
    message = (
        f"MPS backend out of memory (MPS allocated: 17.61 {unit}, other allocations: 384.00 KB, max allowed: 18.13 "
        f"{unit}). Tried to allocate 1.50 {unit} on private pool."
    )
    assert as_shortage(RuntimeError(message)).numbers == {"asked_bytes": round(1.5 * 2**30)}


def test_what_the_message_leaves_out_is_asked_of_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (123, 456))
    assert as_shortage(torch.OutOfMemoryError("CUDA out of memory.")).numbers == {"available_bytes": 123}
    assert as_shortage(RuntimeError("CUDA error: out of memory")).numbers == {"available_bytes": 123}


def test_no_gpu_is_asked_about_a_shortage_on_the_cpu(monkeypatch):
    def busy():
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", busy)
    for error in (MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: no memory")):
        assert as_shortage(error).numbers.keys() == {"available_bytes"}


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cuFFT error: CUFFT_ALLOC_FAILED",
    ],
)
def test_each_library_of_a_gpu_may_run_out_of_memory(message):
    assert str(as_shortage(RuntimeError(message))) == message


class Activations:
    """Stands for the tensors of a step."""


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_once_a_shortage_is_handled_the_tensors_of_the_failed_step_are_free(without_collector):
    left = []

    @shortages_named()
    def step():
        activations = Activations()
        left.append(weakref.ref(activations))
        raise torch.OutOfMemoryError(CUDA)

    # Twice: a second context hands on what the first has named.
    for failing in (step, shortages_named()(step)):
        with pytest.raises(MemoryShortage):
            failing()
    assert [one() for one in left] == [None, None]


def test_another_error_stays_what_it_is():
    assert as_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    with pytest.raises(RuntimeError, match="shapes") as caught, shortages_named():
        raise RuntimeError("shapes")
    assert type(caught.value) is RuntimeError


def test_another_process_hears_the_same():
    unpickled = pickle.loads(pickle.dumps(as_shortage(torch.OutOfMemoryError(CUDA))))
    assert (type(unpickled), str(unpickled), unpickled.numbers) == (
        MemoryShortage,
        CUDA,
        as_shortage(unpickled).numbers,
    )
