"""Another objective for a workload of this project: `dishes`, compared by the loss that it reports, `val/nll`.

    python -m tuner.search --space examples/own_objective.py:SPACE --data path/to/dishes --trials 20

Everything else, the ranges included, is that of `dishes`. The objective is any metric that the workload measures; for a
wrong name an error lists them or names the nearest.
"""

from dataclasses import replace

from search_spaces.builtin.dishes import SPACE as DISHES
from trainable.tasks.dishes import DishesTask

OBJECTIVE, MODE = "val/nll", "min"


class DishesByLoss(DishesTask):
    objective = OBJECTIVE
    mode = MODE


SPACE = replace(DISHES, name="dishes_by_loss", workload=f"{__name__}:DishesByLoss", objective=OBJECTIVE, mode=MODE)
