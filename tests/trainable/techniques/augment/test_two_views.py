import pytest
import torch

from trainable.losses.contrastive import NtXentConfig, nt_xent
from trainable.models.leaf_nets import Projector, ProjectorConfig
from trainable.models.output import ModelOutput
from trainable.supervision.contrastive import ContrastiveSupervision
from trainable.techniques.augment.two_views import TwoViews, TwoViewsConfig
from trainable.techniques.parallel.data_parallel import taken_of


def views(seed: int = 0, **changes) -> TwoViews:
    return TwoViews(TwoViewsConfig(**changes), generator=torch.Generator().manual_seed(seed))


def images_of(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 24, 24, generator=torch.Generator().manual_seed(1))


def test_each_look_at_each_image_has_draws_of_its_own():
    looks, labels = views().apply(images_of(1).repeat(4, 1, 1, 1), torch.zeros(4))
    assert looks.shape == (4, 2, 3, 24, 24)
    assert len(labels) == 4
    looks = looks.flatten(0, 1)
    assert all((looks[i] - looks[j]).abs().max() > 1e-3 for i in range(8) for j in range(i))


def test_a_part_of_a_batch_holds_both_looks_at_its_images():
    images = images_of(5)
    gentle = {"smallest_crop_area": 1.0, "p_recolour": 0.0, "p_greyscale": 0.0, "p_defocus": 0.0}
    batch = views(**gentle).apply(images, torch.arange(5))
    for part in (slice(0, 2), slice(2, 5)):
        for pair, label in zip(*taken_of(batch, part), strict=True):
            assert all(min(_apart(look, images[label]), _apart(look.flip(-1), images[label])) < 1e-5 for look in pair)


def _apart(one, other):
    return (one - other).abs().max()


def test_the_ranges_are_those_of_the_configuration():
    recipe = TwoViewsConfig().recipe()
    assert recipe.kept_area == (0.2, 1.0)
    assert (recipe.p_jitter, recipe.p_grey, recipe.p_blur, recipe.p_flip) == (0.8, 0.2, 0.5, 0.5)
    changes = (recipe.max_brightness_change, recipe.max_contrast_change, recipe.max_saturation_change)
    assert (*changes, recipe.max_hue_turns) == (0.8, 0.8, 0.8, 0.2)
    assert recipe.blur_sigma_px == (0.1, 2.0)


def test_the_saved_state_draws_what_would_have_been_drawn():
    first, second = views(0), views(1)
    first.apply(images_of(2), None)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.apply(images_of(2), None)[0], second.apply(images_of(2), None)[0])


def test_the_supervision_compares_the_two_views_and_reports_how_alike_they_are():
    vectors = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    looks = torch.stack([vectors, 2 * vectors], dim=1)
    supervised = ContrastiveSupervision(temperature=0.3).losses(lambda x: ModelOutput(predictions=x), looks, None)
    torch.testing.assert_close(supervised.total, nt_xent(vectors, vectors, temperature=0.3))
    assert supervised.parts["partner_cosine"].item() == pytest.approx(1)


def test_judging_gives_the_features_of_the_image_as_it_is_and_the_loss_of_queries_alone():
    model, images = Projector(ProjectorConfig(projection_channels=8)).eval(), images_of(3)
    queries, bank = (
        ContrastiveSupervision(temperature=0.2).evaluate(model, images, {"is_query": torch.full((3,), is_query)})
        for is_query in (True, False)
    )
    for judged in (queries, bank):
        torch.testing.assert_close(judged.scores, model.backbone(images).mean(dim=(1, 2)))
    assert queries.losses["loss"].isfinite()
    assert not bank.losses, "what was trained on does not validate"


@pytest.mark.parametrize(
    ("config", "changes", "sentence"),
    [
        (TwoViewsConfig, {"smallest_crop_area": 0.0}, "smallest_crop_area is 0.0"),
        (TwoViewsConfig, {"p_greyscale": 1.2}, "p_greyscale is 1.2"),
        (NtXentConfig, {"temperature": 0.001}, "must be 0.01 or more"),
    ],
)
def test_a_wrong_setting_is_a_sentence(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        config(**changes)
