"""The two grades of a fundus photograph: diabetic retinopathy, and the risk of a macular edema."""

TASK_NAMES = ("retinopathy", "edema")
"""In the order of the label columns."""
CLASS_NAMES = (("none", "mild", "moderate", "severe", "proliferative"), ("none", "away", "central"))
"""By the international scale, and by where hard exudates lie: nowhere, or up to or more than a disc's width away."""
