"""The result of a search, read from its folder."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.reporting.output_folder import check_writable
from tuner import formatting
from tuner.api.keywords import path_of
from tuner.records import SearchRecord, TrialRecord, lock_folder, read_search
from tuner.selection.comparison import Confirmation, read_confirmations
from tuner.selection.selected_trial import select_trial

if TYPE_CHECKING:
    import pandas as pd

    from trainable.configuration.run_config import RunConfig
    from trainable.predict import TrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The trial that is exported: the best over several seeds if the search is confirmed, else its leader."""

    trial: str
    """Its name, such as 029-7682ec2b; number 0 is the default configuration."""
    config: "RunConfig"
    """The complete configuration."""
    params: Mapping[str, object]
    """The parameters that the space gave it."""
    epoch: int
    """The epoch of the exported weights."""
    objective: float
    """The search's objective at that epoch, on the validation split."""
    metrics: Mapping[str, float | None]
    """All metrics of that epoch, by name, such as "val/s_measure"."""
    is_confirmed: bool
    """Whether several seeds chose it; otherwise it led the search on one."""
    remark: str | None
    """Names the trial that led the search on one seed, where that is another."""


@dataclass(frozen=True)
class SearchResult:
    """A search, finished or not, as its records were when it was loaded."""

    folder: Path
    """Its results, results/<space>/<run>."""
    search: SearchRecord
    """All that is recorded."""

    @property
    def objective(self) -> str:
        """The metric that is searched for, such as "val/s_measure"."""
        return self.search.settings.objective

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train; if not, `tuner.resume` continues the search."""
        from tuner.confirmation.wanted import is_over

        return is_over(self.folder, self.search)

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, by number: `params`, `results` by epoch, `outcome`, `sentence`. The first is the default."""
        return self.search.trials

    @cached_property
    def confirmations(self) -> list[Confirmation]:
        """The best trials compared with the default on the test split: `gains` by seed, `interval`, `sentence`."""
        return read_confirmations(self.folder, self.search)

    @cached_property
    def best(self) -> BestTrial | None:
        """The trial that is exported; None while no trial has a finite objective."""
        from tuner.export import trial_config

        selected = select_trial(self.folder, self.search)
        if selected is None:
            return None
        trial, result = selected.trial, selected.trial.results[selected.epoch]
        return BestTrial(
            trial=trial.name,
            config=trial_config(self.search, trial),
            params=trial.params,
            epoch=result.epoch,
            objective=result.objective,
            metrics=result.metrics,
            is_confirmed=selected.is_confirmed,
            remark=selected.remark,
        )

    def to_pandas(self) -> "pd.DataFrame":
        """One row for each trial, by number.

        Columns: `number`, `trial` (its name), `outcome` ("unfinished" while it has none), `epochs` (trained so far),
        `objective` (at the last epoch), `best_objective` and `best_epoch` (at its best one), `seconds` (of training),
        one column for each parameter (missing where the trial has none; `config/seconds` for one that is called
        `seconds`, and so on), and `ending`, how it ended in words.
        """
        from tuner.report import results_table

        return results_table(self.search)

    def report(self, output: str | Path | None = None) -> Path:
        """Writes report.html, report.md and results.csv again; returns the path of report.md.

        Args:
            output: folder to write to, which works while the search runs; None is the search's own.

        Raises:
            ValueError: the search is running, its records are damaged, or the folder can't be written to.
        """
        from tuner.report import write_report

        check_writable(self.folder if output is None else Path(output), "output")
        with lock_folder(self.folder) if output is None else nullcontext():
            return write_report(self.folder, None if output is None else Path(output))

    def export(self, *, onnx: bool = False, torch_export: bool = False) -> Path:
        """Writes the best trial's configuration, weights, metrics and model card again; returns their folder, `best`.

        Args:
            onnx: also write model.onnx, checked with ONNX Runtime.
            torch_export: also write model.pt2, a program of torch.export, checked.

        Raises:
            ValueError: the search is running, has no best trial, its checkpoint is gone, or its network cannot be
                written in that form.
        """
        from tuner.export import check_forms, export, write_forms

        check_forms(self.folder, onnx=onnx, torch_export=torch_export)
        with lock_folder(self.folder):
            best = export(self.folder)
            write_forms(best, onnx=onnx, torch_export=torch_export)
        return best

    def model(self, device: str = "auto") -> "TrainedModel":
        """The exported network with its weights, ready for pictures.

        Args:
            device: auto (a CUDA device if there is one, else the CPU), cpu, cuda, cuda:N or mps.

        Raises:
            ValueError: nothing is exported, or the device is not on this machine.
        """
        from trainable.predict import TrainedModel
        from tuner.export import CONFIG, FOLDER

        if not (self.folder / FOLDER / CONFIG).is_file():
            raise ValueError(f"{self.folder} has no {FOLDER}/{CONFIG}; write it with export(), or resume the search.")
        return TrainedModel.read(self.folder / FOLDER, device)

    def summary(self) -> dict[str, Any]:
        """The result as plain data, as `vision-tuner search --json` prints it.

        `interrupted` says what is left to do and how, and is None where nothing is or a process is at work on it.
        """
        from tuner.confirmation.wanted import interruption

        best = self.best
        return {
            "folder": str(self.folder),
            "space": self.search.settings.space,
            "objective": self.objective,
            "is_over": self.is_over,
            "interrupted": interruption(self.folder, self.search),
            "trials": {"ended": len(self.trials) - len(self.search.unfinished), "of": self.search.settings.num_trials},
            "best": None
            if best is None
            else {
                "trial": best.trial,
                "epoch": best.epoch,
                "objective": best.objective,
                "is_confirmed": best.is_confirmed,
                "remark": best.remark,
                "params": dict(best.params),
                "metrics": dict(best.metrics),
            },
            "confirmations": [
                {"trial": one.trial, "gains": one.gains, "interval": one.interval, "sentence": one.sentence}
                for one in self.confirmations
            ],
        }

    def __repr__(self) -> str:
        best = "no best trial yet" if self.best is None else f"best trial {self.best.trial}: {self.best.objective:.4g}"
        state = "over" if self.is_over else "not over"
        return f"SearchResult({str(self.folder)!r}, {state}, {formatting.count(len(self.trials), 'trial')}, {best})"


def load(folder: str | Path) -> SearchResult:
    """A search from its results folder, results/<space>/<run>, also while it runs.

    Raises:
        ValueError: the folder holds no search, or a damaged one.
    """
    folder = path_of(folder, "folder")
    return SearchResult(folder, read_search(folder))
