"""Classifiers of torchvision as backbones: without their heads, cut into four stages at strides 4, 8, 16 and 32.

Source: torchvision, https://docs.pytorch.org/vision/stable/models.html; each builder names its paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.error import URLError

from torch import nn

from trainable.models.backbones.backbone import IMAGENET_DEVIATION, IMAGENET_MEAN, Backbone, Normalisation
from trainable.models.backbones.weight_files import load_matching_weights, read_state_dict


@dataclass(frozen=True, slots=True)
class _Cut:
    """The four stages of a classifier: index of the last layer of each, and the channels of its map."""

    ends: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]


CUTS = {
    "mobilenet_v3_small": _Cut((2, 4, 9, 12), (16, 24, 48, 96)),
    "mobilenet_v3_large": _Cut((4, 7, 13, 16), (24, 40, 112, 160)),
    "efficientnet_b0": _Cut((3, 4, 6, 8), (24, 40, 112, 320)),
    "resnet50": _Cut((5, 6, 7, 8), (256, 512, 1024, 2048)),
    "convnext_tiny": _Cut((2, 4, 6, 8), (96, 192, 384, 768)),
    "efficientnet_v2_s": _Cut((3, 4, 6, 7), (48, 64, 160, 256)),
}


def build_torchvision(name: str, weights: str, options: Mapping[str, float]) -> Backbone:
    """Builds one of CUTS.

    Args:
        weights: "scratch", "imagenet", or what `weights_file` finds.
        options: of the constructor of torchvision.

    Raises:
        ValueError: weights that cannot be downloaded, or do not fit.
    """
    # Its models take seconds to import.
    import torchvision

    cut = CUTS[name]
    if weights == "imagenet":
        classifier = _imagenet_classifier(name, options)
    else:
        classifier = torchvision.models.get_model(name, **options)
    layers = _layers_without_head(classifier, cut.ends[-1])
    starts = (0, *cut.ends)
    stages = [nn.Sequential(*layers[start:end]) for start, end in zip(starts, cut.ends, strict=False)]
    backbone = Backbone(stages, cut.channels, Normalisation(IMAGENET_MEAN, IMAGENET_DEVIATION, is_saved=False))
    if weights not in ("scratch", "imagenet"):
        # A training here names layers by their stage, torchvision by their place.
        is_of_training = any(name.startswith("backbone.stages.") for name in read_state_dict(weights))
        load_matching_weights(backbone if is_of_training else classifier, weights)
    return backbone


def _layers_without_head(classifier: nn.Module, end: int) -> list[nn.Module]:
    """Removes the head, so that a weights file needs none; resnet has no feature sequence of its own."""
    if hasattr(classifier, "fc"):
        del classifier.fc
        return list(classifier.children())
    del classifier.classifier
    features = classifier.get_submodule("features")
    assert isinstance(features, nn.Sequential), type(features)
    classifier.features = features[:end]
    return list(classifier.features)


def _imagenet_classifier(name: str, options: Mapping[str, float]) -> nn.Module:
    import torchvision

    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return torchvision.models.get_model(name, weights=weights, **options)
    except URLError as error:
        raise ValueError(
            f"The ImageNet weights of {name} could not be downloaded ({error.reason}). Fetch {weights.url} where "
            "there is a network, copy it here, and give the file's path as weights."
        ) from error
