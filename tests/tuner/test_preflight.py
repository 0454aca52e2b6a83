"""What is told before a search begins, beyond the table of wrong inputs."""

import subprocess
import sys

CHECKED = """
import sys
from tuner.plan import plan_search
from tuner.preflight import check_configurations
from tuner.settings import SearchSettings
check_configurations(plan_search(SearchSettings(space="moe")), {})
print("torch._dynamo" in sys.modules)
"""


def test_whole_trainers_are_checked_without_the_second_that_the_compiler_of_torch_takes_to_import():
    told = subprocess.run([sys.executable, "-c", CHECKED], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
