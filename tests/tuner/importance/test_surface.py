import numpy as np

from tuner.importance.surface import smooth


def test_values_of_a_plane_are_found_between_the_trials():
    generator = np.random.default_rng(0)
    x, y = generator.uniform(0, 1, (2, 400))
    surface = smooth(x, y, 2 * x + y)
    rows, columns = np.meshgrid(surface.y, surface.x, indexing="ij")
    inner = (slice(6, -6), slice(6, -6))
    assert np.nanmax(np.abs(surface.z - (2 * columns + rows))[inner]) < 0.1


def test_no_value_is_given_far_from_every_trial():
    surface = smooth([0.0, 0.05, 1.0], [0.0, 0.05, 1.0], [1.0, 1.0, 5.0])
    assert np.isnan(surface.z[-1, 0])
    assert surface.z[0, 0] == 1.0
    assert surface.z[-1, -1] == 5.0


def test_a_parameter_on_a_logarithmic_scale_has_a_logarithmic_grid():
    x = list(10 ** np.linspace(-4, -1, 40))
    surface = smooth(x, list(np.linspace(0, 1, 40)), x)
    ratios = surface.x[1:] / surface.x[:-1]
    assert np.allclose(ratios, ratios[0])
