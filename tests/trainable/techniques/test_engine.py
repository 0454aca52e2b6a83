"""torch's switches are those of the configuration while a run computes, and the process's own before and after."""

import os
from dataclasses import replace

import pytest
import torch

from trainable.config import from_dict, from_params, to_dict
from trainable.configuration.config_options import with_params
from trainable.tasks.registry import get_task
from trainable.techniques.engine import EngineConfig, engine_switched
from trainable.training_run import TrainingRun


def switches():
    cudnn = torch.backends.cudnn
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return {
        "cudnn_benchmark": cudnn.benchmark,
        "cudnn_deterministic": cudnn.deterministic,
        "tf32": (cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()),
        "deterministic_algorithms": (torch.are_deterministic_algorithms_enabled() and ("warn" if warns else "error")),
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


OWN = switches()
IN_EFFECT = [
    ({"cudnn_benchmark": True}, {"cudnn_benchmark": True}),
    ({"cudnn_deterministic": True}, {"cudnn_deterministic": True}),
    ({"tf32": True}, {"tf32": (True, True, "high")}),
    ({"tf32": False}, {"tf32": (False, False, "highest")}),
    ({"deterministic_algorithms": "warn"}, {"deterministic_algorithms": "warn", "workspace": ":4096:8"}),
    ({"deterministic_algorithms": "error"}, {"deterministic_algorithms": "error", "workspace": ":4096:8"}),
    ({"engine": False}, {}),
    ({}, {}),
]


@pytest.fixture(scope="module")
def splits(disc_config):
    return get_task("moe").open_data(disc_config)


@pytest.mark.parametrize(("params", "changed"), IN_EFFECT, ids=lambda given: str(given))
def test_a_run_computes_under_its_switches_and_leaves_the_process_its_own(params, changed, disc_config, splits):
    run = TrainingRun(replace(with_params(disc_config, params), max_epochs=2), splits)
    seen = []
    run.trainer.model.register_forward_hook(lambda model, inputs, output: seen.append(switches()))
    for compute in (run.train_epoch, run.run_epoch, run.test):
        seen.clear()
        compute()
        assert seen
        assert all(one == OWN | changed for one in seen)
        assert switches() == OWN


def test_deterministic_algorithms_leave_the_curve_on_a_processor_as_it_is(disc_config, splits):
    curves = [
        TrainingRun(from_params(params, disc_config), splits).run_epoch().metrics
        for params in ({}, {"deterministic_algorithms": "error"}, {"cudnn_deterministic": True, "tf32": False})
    ]
    assert curves[0] == curves[1] == curves[2]


def test_after_an_error_the_process_has_its_own_switches_again():
    everything = EngineConfig(
        cudnn_benchmark=True, cudnn_deterministic=True, tf32=True, deterministic_algorithms="error"
    )
    with pytest.raises(KeyError), engine_switched(everything):
        raise KeyError("an error of the training")
    assert switches() == OWN


def test_switches_of_the_caller_are_set_back_and_not_to_torchs_defaults():
    with engine_switched(EngineConfig(tf32=True, deterministic_algorithms="error", cudnn_benchmark=True)):
        outer = switches()
        with engine_switched(EngineConfig(tf32=False, deterministic_algorithms="warn", cudnn_benchmark=False)):
            assert switches() != outer
        assert switches() == outer
    assert switches() == OWN


def test_an_operation_without_a_deterministic_algorithm_is_a_sentence_that_says_what_to_do():
    def put():
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))

    with (
        pytest.raises(ValueError, match=r"deterministic_algorithms is error, but: put_.*deterministic_algorithms=warn"),
        engine_switched(EngineConfig(deterministic_algorithms="error")),
    ):
        put()
    with (
        pytest.warns(UserWarning, match="put_"),
        engine_switched(EngineConfig(deterministic_algorithms="warn")),
    ):
        put()


def test_another_error_of_the_training_stays_what_it_is():
    with (
        pytest.raises(RuntimeError, match="shape"),
        engine_switched(EngineConfig(deterministic_algorithms="error")),
    ):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_a_file_from_before_the_switches_existed_is_read(disc_config):
    content = to_dict(disc_config)
    del content["engine"]
    assert from_dict(content, disc_config).engine is None


@pytest.mark.parametrize("value", ["always", True])
def test_a_wrong_value_is_a_sentence(value, disc_config):
    with pytest.raises(ValueError, match=r"deterministic_algorithms is .*; it must be warn, error"):
        from_params({"deterministic_algorithms": value}, disc_config)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_without_tf32_products_on_a_gpu_are_those_of_fp32():
    torch.manual_seed(0)
    left, right = torch.randn(2, 512, 512)
    exact = (left.double() @ right.double()).float()
    errors = []
    for tf32 in (False, True):
        with engine_switched(EngineConfig(tf32=tf32)):
            errors.append(((left.cuda() @ right.cuda()).cpu() - exact).abs().max().item())
    assert errors[0] < 1e-3 < errors[1]
