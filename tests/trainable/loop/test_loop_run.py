"""A loop of the user's own as a run: its epochs, its state, its endings, and the sentences for its mistakes."""

import gc
import math
import random
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from trainable.loop.loop_config import LoopConfig, LoopData
from trainable.loop.loop_error import LoopError
from trainable.loop.loop_run import LoopRun
from trainable.run import run_epochs
from trainable.techniques.best_epoch import Monitor
from trainable.techniques.checkpoint import CheckpointError, write_checkpoint
from trainable.techniques.memory import MemoryShortage
from trainable.techniques.optim.gradient_update import DivergedError


def noisy(params, trial):
    """Draws from every generator, steps its schedule after the report, and mixes all of it into the objective."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=params["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, trial.max_epochs)
    order, seen = torch.Generator().manual_seed(trial.seed), {"images": 0}
    for _ in trial.epochs(model=model, optimizer=optimizer, schedule=schedule, order=order, seen=seen):
        inputs = torch.rand(16, 4, generator=order) + float(np.random.rand()) + random.random()
        loss = (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen["images"] += len(inputs)
        trial.report({"val/loss": loss.item(), "images": seen["images"], "lr": schedule.get_last_lr()[0]})
        schedule.step()
    return {"test/loss": 0.25}


def run_of(train, *, max_epochs=4, objective="val/loss", params=None, data=None):
    params = {"lr": 0.05} if params is None else params
    config = LoopConfig(workload="train.py:SPACE", max_epochs=max_epochs, data=LoopData(), params=params)
    return LoopRun(config, train, params, data=data, monitor=Monitor(name=objective, mode="min"))


def curve(run):
    return [(result.epoch, result.metrics) for result in run_epochs(run, on_epoch=lambda result: None)]


def reporting(*reports, returned=None):
    """A loop that reports these, one in each epoch; an error is raised instead."""

    def train(params, trial):
        remaining = iter(reports)
        for _ in trial.epochs():
            report = next(remaining)
            if isinstance(report, BaseException):
                raise report
            trial.report(report)
        return returned

    return train


def failure(train, **options) -> str:
    with pytest.raises(LoopError) as error:
        curve(run_of(train, **options))
    return str(error.value)


def test_a_loop_trains_its_epochs_with_the_objective_that_it_reports():
    results = run_epochs(run_of(noisy), on_epoch=lambda result: None)
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert all(result.objective == result.metrics["val/loss"] for result in results)
    assert results[-1].metrics["images"] == 64


def test_the_same_seed_gives_the_same_curve_whatever_else_draws_in_between():
    undisturbed, run = curve(run_of(noisy)), run_of(noisy)
    disturbed = []
    while run.ending is None:
        result = run.run_epoch()
        disturbed.append((result.epoch, result.metrics))
        torch.rand(3), np.random.rand(3), random.random()
    assert disturbed == undisturbed


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_loop_continues_from_a_checkpoint_to_the_same_curve(tmp_path, epoch):
    undisturbed, run = curve(run_of(noisy)), run_of(noisy)
    for _ in range(epoch):
        run.run_epoch()
    run.save(tmp_path / "saved.pt")
    resumed = run_of(noisy)
    resumed.restore(tmp_path / "saved.pt")
    assert resumed.epoch == epoch
    assert curve(resumed) == undisturbed[epoch:]


def test_the_code_after_the_loop_runs_for_the_test_alone():
    reached = []

    def train(params, trial):
        for epoch in trial.epochs():
            trial.report({"val/loss": float(epoch)})
        reached.append(trial.max_epochs)
        return {"test/loss": torch.tensor(0.5), "test/f1": 1}

    run = run_of(train)
    curve(run)
    assert reached == []
    assert run.test() == {"loss": 0.5, "f1": 1.0}
    assert reached == [4]


def test_a_complete_run_that_is_restored_trains_nothing_and_is_tested(tmp_path):
    run = run_of(noisy)
    curve(run)
    run.save(tmp_path / "saved.pt")
    restored = run_of(noisy)
    restored.restore(tmp_path / "saved.pt")
    assert restored.ending.outcome == "completed"
    assert restored.test() == {"loss": 0.25}


def test_a_value_of_another_split_is_never_taken_for_that_of_the_test_split():
    returned = {"test/accuracy": 0.8, "val/accuracy": 0.95, "test/a/f1": 0.1, "test/b/f1": 0.2}
    run = run_of(reporting({"val/loss": 1.0}, returned=returned), max_epochs=1)
    curve(run)
    assert run.test() == {"accuracy": 0.8, "val/accuracy": 0.95, "a/f1": 0.1, "b/f1": 0.2}


def test_one_number_that_is_returned_twice_is_an_error():
    run = run_of(reporting({"val/loss": 1.0}, returned={"accuracy": 0.8, "test/accuracy": 0.9}), max_epochs=1)
    curve(run)
    with pytest.raises(LoopError, match="train returned accuracy, test/accuracy: one number twice"):
        run.test()


def test_weights_that_were_handed_over_stay_while_the_code_after_the_loop_continues_with_the_model():
    def train(params, trial):
        model = nn.Linear(1, 1)
        nn.init.constant_(model.weight, 1.0)
        for _ in trial.epochs(model=model):
            trial.report({"val/loss": 0.5})
        nn.init.constant_(model.weight, 2.0)
        return {"test/loss": 0.5}

    run = run_of(train, max_epochs=1)
    curve(run)
    before = run.handed_over.weights["weight"]
    run.test()
    assert (before.item(), run.handed_over.weights["weight"].item()) == (1.0, 2.0)


def test_a_loop_that_returns_nothing_has_no_test_metrics():
    run = run_of(reporting({"val/loss": 1.0}), max_epochs=1)
    curve(run)
    assert run.test() == {}


def test_what_is_dropped_at_a_pause_is_unwound_past_its_own_handlers_and_cleans_up():
    unwound = []

    def train(params, trial):
        try:
            for _ in trial.epochs():
                try:
                    trial.report({"val/loss": 1.0})
                except Exception:  # noqa: BLE001 - as a user's loop may
                    unwound.append("as an error")
        finally:
            unwound.append("cleaned up")

    run = run_of(train)
    run.run_epoch()
    assert unwound == []
    del run
    gc.collect()
    assert unwound == ["cleaned up"]


def test_a_break_after_a_report_completes_the_trial_and_stays_so(tmp_path):
    def train(params, trial):
        for epoch in trial.epochs():
            trial.report({"val/loss": 1.0})
            if epoch == 1:
                break
        return {"test/loss": 3.0}

    run = run_of(train)
    assert [epoch for epoch, _ in curve(run)] == [1, 2]
    assert (run.ending.outcome, run.test()) == ("completed", {"loss": 3.0})
    run.save(tmp_path / "saved.pt")
    restored = run_of(train)
    restored.restore(tmp_path / "saved.pt")
    assert restored.ending.outcome == "completed"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_divergence(value):
    run = run_of(reporting({"val/loss": 1.0}, {"val/loss": 0.5, "train/loss": value}))
    run.run_epoch()
    with pytest.raises(DivergedError, match=r"train/loss became (nan|inf) in epoch 2"):
        run.run_epoch()


def test_the_sentence_about_divergence_claims_nothing_of_updates_that_nobody_counted():
    with pytest.raises(DivergedError) as caught:
        run_of(reporting({"val/loss": math.nan})).run_epoch()
    assert str(caught.value) == "val/loss became nan in epoch 1"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8 GiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_running_out_of_memory_is_named(error):
    with pytest.raises(MemoryShortage):
        run_of(reporting(error)).run_epoch()


def test_the_weights_of_the_model_are_handed_over_and_none_where_no_model_is_named(tmp_path):
    run = run_of(noisy)
    curve(run)
    assert set(run.handed_over.weights) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    other = run_of(reporting({"val/loss": 1.0}), max_epochs=1)
    curve(other)
    assert other.handed_over.weights == {}


def test_an_error_of_the_loop_shows_the_users_frames_and_ends_with_what_and_where():
    lines = failure(reporting(ZeroDivisionError("division by zero"))).splitlines()
    assert lines[0] == "your loop failed:"
    assert "in train" in lines[1]
    assert not any("loop_run.py" in line or "stepped_function.py" in line for line in lines if "test_" not in line)
    assert lines[-1].startswith("ZeroDivisionError: division by zero (test_loop_run.py, line ")


def test_an_error_deep_in_a_library_shows_the_users_line():
    def train(params, trial):
        nn.Linear(4, 8)(torch.rand(2, 3))

    lines = failure(train).splitlines()
    assert "nn.Linear(4, 8)" in lines[2]
    assert "mat1 and mat2 shapes cannot be multiplied" in lines[-1]


def silent(params, trial):
    for _ in trial.epochs():
        pass


def twice(params, trial):
    for _ in trial.epochs():
        trial.report({"val/loss": 1.0})
        trial.report({"val/f1": 1.0})


def outside(params, trial):
    trial.report({"val/loss": 1.0})


def begun_twice(params, trial):
    list(zip(trial.epochs(), trial.epochs(), strict=True))


def early(params, trial):
    for epoch in trial.epochs():
        if epoch == 1:
            break
        trial.report({"val/loss": 1.0})


def stateless(params, trial):
    trial.epochs(model=object())


def first_break(params, trial):
    for _ in trial.epochs():
        break


def without_epochs(params, trial):
    return {"test/loss": 1.0}


MISTAKES = {
    "without_epochs returned without a call of trial.epochs(); train in `for epoch in trial.epochs": without_epochs,
    "epoch 0 ended without a report; call trial.report in each epoch.": silent,
    "epoch 0 is reported twice; report all its numbers at once.": twice,
    "report() is called outside the loop; call it once in each epoch of epochs().": outside,
    "epochs() is called twice; call it once, and name all states there.": begun_twice,
    "early returned after epoch 1 without a report of the next; report before the break": early,
    "model is a object without state_dict and load_state_dict; name a model, an optimizer": stateless,
    "the report of epoch 0 lacks the objective val/loss: it has val/f1.": reporting({"val/f1": 1.0}),
    "the report of epoch 0 lacks the objective val/loss: it has nothing.": reporting({}),
    'report() is given 0.5; give numbers by name: {"val/loss": 0.9}.': reporting(0.5),
    "val/loss is 1000000": reporting({"val/loss": 10**400}),
    "partial returned after epoch 0 without a report": partial(first_break),
    "val/loss is 'low'; report a number.": reporting({"val/loss": "low"}),
    "val/loss is tensor([1., 1.]); report a number.": reporting({"val/loss": torch.ones(2)}),
}


@pytest.mark.parametrize(("sentence", "train"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_a_sentence(sentence, train):
    assert sentence in failure(train).splitlines()[-1]


def test_a_state_that_would_need_pickled_code_is_refused_when_it_is_saved(tmp_path):
    def train(params, trial):
        history = {"best": None}
        for _ in trial.epochs(history=history):
            history["best"] = LoopData()
            trial.report({"val/loss": 1.0})

    run = run_of(train)
    run.run_epoch()
    with pytest.raises(LoopError, match=r"the state of history holds .*LoopData; a checkpoint holds tensors, numbers"):
        run.save(tmp_path / "saved.pt")


def test_other_states_than_the_checkpoints_are_a_sentence(tmp_path):
    run = run_of(noisy)
    run.run_epoch()
    run.save(tmp_path / "saved.pt")
    other = run_of(silent)
    other.restore(tmp_path / "saved.pt")
    with pytest.raises(LoopError, match=r"epochs\(\) names nothing, the checkpoint holds model, optimizer"):
        other.run_epoch()


def test_the_checkpoint_of_another_workload_is_refused(tmp_path):
    write_checkpoint(tmp_path / "saved.pt", {"epoch": 1, "trainer": {}})
    with pytest.raises(CheckpointError, match="is the checkpoint of another workload"):
        run_of(noisy).restore(tmp_path / "saved.pt")


def test_test_metrics_that_are_no_numbers_are_a_sentence():
    run = run_of(reporting({"val/loss": 1.0}, returned=0.5), max_epochs=1)
    curve(run)
    with pytest.raises(LoopError, match=r'train returned 0.5; return numbers by name, such as {"test/accuracy": 0.9}'):
        run.test()


def test_extra_state_of_a_model_is_handed_over_and_stays_as_it_was():
    class Counting(nn.Linear):
        seen = {"images": 3}

        def get_extra_state(self):
            return self.seen

        def set_extra_state(self, state):
            self.seen = state

    model = Counting(2, 1)

    def train(params, trial):
        for _ in trial.epochs(model=model):
            trial.report({"val/loss": 1.0})

    run = run_of(train, max_epochs=1)
    curve(run)
    weights = run.handed_over.weights
    model.seen["images"] = 4
    assert weights["_extra_state"] == {"images": 3}


@pytest.mark.parametrize(
    ("error", "ends_as"),
    [
        (partial(torch.OutOfMemoryError, "CUDA out of memory."), MemoryShortage),
        (partial(DivergedError, term="loss", value=math.nan, epoch=0, step=None), DivergedError),
    ],
)
def test_what_a_loop_that_failed_had_on_its_device_is_free_for_the_next_trial(error, ends_as):
    models = []

    def train(params, trial):
        model = nn.Linear(2, 2)
        models.append(weakref.ref(model))
        for _ in trial.epochs(model=model):
            raise error()

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ends_as):
            run_of(train).run_epoch()
        assert [model() for model in models] == [None]
    finally:
        gc.enable()
