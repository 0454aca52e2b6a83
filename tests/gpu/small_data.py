"""Little embedded data for each workload: two updates an epoch, or three."""

from typing import Any

from trainable.data.generated.camouflage_scenes import SceneConfig
from trainable.data.generated.crown_scenes import CrownSceneConfig
from trainable.data.generated.fundus_images import FundusConfig
from trainable.data.generated.leaf_pictures import LeafPictureConfig
from trainable.data.generated.plates import PlateConfig

SCENES = SceneConfig(image_size_px=48, num_train=16, num_validation=8, num_test=8)
LEAVES = LeafPictureConfig(picture_px=32, num_train=20, num_unlabelled=12, num_validation=10, num_test=10)

SMALL_DATA: dict[str, dict[str, Any]] = {
    "moe": {"scenes": SCENES},
    "moe_pretrain": {"scenes": SCENES},
    "dishes": {"plates": PlateConfig(plate_size_px=32, num_train=20, num_validation=10, num_test=10)},
    "leaf": {"leaves": LEAVES},
    "leaf_pretrain": {"leaves": LEAVES},
    "retina": {"fundus": FundusConfig(image_size_px=48, num_train=20, num_validation=20, num_test=20)},
    "agroforestry": {"generator": CrownSceneConfig(tile_px=48, num_train=8, num_validation=4, num_test=4)},
}
"""Changes of the field `data`, by workload."""
