"""The report of a search with limits."""

from tuner.policy.outcomes import Outcome, describe
from tuner.report import write_report
from tuner.views.figures.limits import measured_quantity

LIMITS = {"params_m": 5.0, "latency_ms": 20.0}


def test_a_report_shows_the_objective_against_each_quantity_and_how_many_were_not_trained(synthetic_search, tmp_path):
    synthetic = synthetic_search(limits=LIMITS, num_trials=3)
    recorder = synthetic.recorder
    for number, params_m in enumerate((1.0, 7.5)):
        trial = f"00{number}-0123abc{number}"
        recorder.start(trial, params={"max_lr": 1e-3 * (number + 1)}, answers={"max_lr": 1e-3 * (number + 1)})
        if params_m > LIMITS["params_m"]:
            numbers = {"epoch": 0, "quantity": "params_m", "measured": params_m, "limit": 5.0}
            recorder.end(trial, Outcome.OVER_LIMIT, numbers=numbers, epoch=0)
        else:
            metrics = {"val/s_measure": 0.5, "limit/params_m": params_m, "limit/latency_ms": 12.0}
            recorder.result(trial, epoch=1, objective=0.5, metrics=metrics, seconds=1.0)
    first, over = recorder.record.trials
    assert (measured_quantity(first, "params_m"), measured_quantity(over, "params_m")) == (1.0, 7.5)
    assert (measured_quantity(first, "latency_ms"), measured_quantity(over, "latency_ms")) == (12.0, None)
    report = write_report(recorder.folder, tmp_path / "report")
    text = report.read_text()
    page = (report.parent / "report.html").read_text()
    assert "The limit is 5; 1 trial above it ended untrained." in page
    assert "The limit is 20; 0 trials above it ended untrained." in page
    assert "over limit: params_m 7.5, limit 5" in text


def test_the_sentence_has_quantity_measure_and_limit():
    numbers = {"epoch": 0, "quantity": "latency_ms", "measured": 31.25, "limit": 20.0}
    assert describe(Outcome.OVER_LIMIT, numbers) == "over limit: latency_ms 31.25, limit 20"
