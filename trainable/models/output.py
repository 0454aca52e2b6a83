"""The output of a model as one typed value, whichever documented form the model returns."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingInfo:
    """Routing of one mixture-of-experts layer; T tokens (images when routed by image), N experts, k chosen."""

    routing_probs: Tensor
    """Router probabilities with their gradient, fp32, shape (T, N), rows sum to 1."""
    expert_assignments: Tensor
    """Chosen experts, int64, shape (T, k)."""
    router_logits: Tensor | None = None
    """Raw router logits, fp32, shape (T, N), for the z-loss."""
    capacity_overflow: Tensor | None = None
    """Number of assignments to a full expert, a scalar; None without a capacity."""
    token_mask: Tensor | None = None
    """True where a token counts, shape (T,); None when all do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """Predictions are logits, (B, 1, H, W) of masks or (B, K) of classes; auxiliary ones are of any coarser size."""

    predictions: Tensor
    aux_outputs: tuple[Tensor, ...] = ()
    routing: tuple[RoutingInfo, ...] = ()
    """One entry per mixture-of-experts layer."""
    embeddings: Tensor | None = None
    """Features behind the predictions: a map (B, D, h, w) at stride 4 or coarser, or vectors (B, D)."""


def as_model_output(raw: object) -> ModelOutput:
    """Reads the documented output forms by type: tensor, dict, (predictions, aux[, routing]), (predictions, routing).

    Raises:
        TypeError: the value is none of these.
    """
    if isinstance(raw, ModelOutput):
        return raw
    if isinstance(raw, Tensor):
        return ModelOutput(predictions=raw)
    if isinstance(raw, Mapping):
        if "predictions" not in raw:
            raise TypeError(
                f"The model returned a dict of {', '.join(map(str, raw)) or 'nothing'}, without 'predictions'."
            )
        return _from_parts(raw["predictions"], (raw.get("aux_outputs"), raw.get("routing_info")))
    if isinstance(raw, tuple) and 1 <= len(raw) <= 3:
        return _from_parts(raw[0], raw[1:])
    raise TypeError(
        f"The model returned {type(raw).__name__}; allowed: a tensor, a dict with 'predictions', a tuple "
        "(predictions, aux_outputs, routing_info), or ModelOutput."
    )


def _from_parts(predictions: object, parts: tuple[object, ...]) -> ModelOutput:
    """Sorts the parts by type, not position: routing is a mapping, auxiliary outputs are tensors."""
    if not isinstance(predictions, Tensor):
        raise TypeError(f"The model's predictions are {type(predictions).__name__}; they must be a tensor of logits.")
    aux: list[Tensor] = []
    routing: list[RoutingInfo] = []
    for part in parts:
        for item in part if isinstance(part, list | tuple) else [part]:
            if isinstance(item, Tensor):
                aux.append(item)
            elif isinstance(item, RoutingInfo):
                routing.append(item)
            elif isinstance(item, Mapping):
                routing.append(_routing_from_mapping(item))
            elif item is not None:
                raise TypeError(f"The model returned a part of type {type(item).__name__}: neither tensor nor routing.")
    return ModelOutput(predictions=predictions, aux_outputs=tuple(aux), routing=tuple(routing))


def _routing_from_mapping(info: Mapping[str, Tensor]) -> RoutingInfo:
    missing = {"routing_probs", "expert_assignments"} - set(info)
    if missing:
        raise TypeError(
            f"routing_info lacks {sorted(missing)}; it must hold routing_probs [B,N], expert_assignments [B,k]."
        )
    optional = ("router_logits", "capacity_overflow", "token_mask")
    return RoutingInfo(
        routing_probs=info["routing_probs"].float(),
        expert_assignments=info["expert_assignments"],
        **{name: info.get(name) for name in optional},
    )
