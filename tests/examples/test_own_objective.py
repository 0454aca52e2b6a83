"""The example of another objective for a workload of this project: its page shows it, and it is planned."""

from pathlib import Path

from tuner.planning.plan import plan_as_given
from tuner.planning.preflight import check_configurations
from tuner.settings import SearchSettings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_objective.py"


def test_its_configurations_can_be_trained_and_are_compared_by_the_metric_of_the_example():
    plan = plan_as_given(SearchSettings(space=f"{EXAMPLE}:SPACE", max_epochs=2))
    check_configurations(plan, {})
    assert (plan.space.objective, plan.space.mode) == ("val/nll", "min")


def test_the_page_shows_the_code_of_the_example():
    code = EXAMPLE.read_text().split('"""\n\n', 1)[1]
    assert f"```python\n{code}```" in (ROOT / "docs" / "own_ranges.md").read_text()
