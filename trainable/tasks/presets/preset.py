"""The type of a preset."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainable.config import from_params
from trainable.configuration.run_config import Config

Params = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Parameters over a workload's default, by a name, for training without a search."""

    params: Params
    of_folder: Params = field(default_factory=dict)
    """Further parameters for a folder of images; embedded data is drawn small, in one size."""

    def over(self, default: Config, *, has_folder: bool) -> Config:
        """The configuration of this preset; raises ValueError for a parameter that the workload does not know."""
        return from_params({**self.params, **(self.of_folder if has_folder else {})}, default)

    def but(self, *, of_folder: Params | None = None, **params: object) -> "Preset":
        """The same preset with some parameters changed."""
        return Preset(params={**self.params, **params}, of_folder={**self.of_folder, **(of_folder or {})})
