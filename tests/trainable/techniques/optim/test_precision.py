import pytest
import torch

from trainable.techniques.optim import precision
from trainable.techniques.optim.precision import resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("requested", "effective"), [("auto", "fp32"), ("fp32", "fp32"), ("fp16", "fp32"), ("bf16", "bf16")]
)
def test_the_precision_that_a_cpu_really_computes_in_is_reported(requested, effective):
    assert resolve_precision(requested, CPU).name == effective


@pytest.mark.parametrize(
    ("requested", "effective"), [("auto", "fp32"), ("fp32", "fp32"), ("fp16", "fp32"), ("bf16", "bf16")]
)
def test_an_apple_gpu_computes_in_32_bits_unless_bf16_is_asked_for(requested, effective):
    found = resolve_precision(requested, torch.device("mps"))
    assert found.name == effective
    assert not found.scaler().is_enabled()


def test_a_wish_that_the_device_cannot_serve_has_its_reason():
    assert "fp16 was asked for" in resolve_precision("fp16", CPU).reason


@pytest.mark.parametrize("has_bf16", [True, False])
def test_bf16_on_a_cpu_without_its_instructions_is_reported_and_never_chosen_by_auto(has_bf16, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": has_bf16})
    precision._warn_once.cache_clear()
    asked = resolve_precision("bf16", CPU)
    assert asked.name == "bf16"
    assert ("slower than fp32" in asked.reason) == ("no instructions for it" in caplog.text) == (not has_bf16)
    assert resolve_precision("auto", CPU).name == "fp32"


def test_bf16_computes_in_bf16_and_fp32_in_fp32():
    weight = torch.ones(4, 4)
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with resolve_precision(name, CPU).autocast():
            assert (weight @ weight).dtype is dtype


def test_only_fp16_scales_its_loss():
    assert not resolve_precision("bf16", CPU).scaler().is_enabled()


def test_an_unknown_precision_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match=r"fp8.*allowed: auto, fp32, fp16, bf16"):
        resolve_precision("fp8", CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_serves_fp16_with_scaling():
    found = resolve_precision("fp16", torch.device("cuda"))
    assert found.name == "fp16"
    assert found.scaler().is_enabled()
