import pytest
import torch

from trainable.metrics.probes import METRIC_NAMES, ProbeMetrics, knn_calls, linear_calls, standardise


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clusters(count: int, *, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes around three directions, of very different lengths, plus a loud feature that says nothing."""
    labels = torch.arange(count) % 3
    features = torch.cat([torch.eye(3)[labels], 100 * noise(count, 1, seed=seed + 1)], dim=1)
    return features + spread * noise(count, 4, seed=seed), labels


def probed(bank, bank_labels, queries, query_labels) -> dict[str, float]:
    metrics = ProbeMetrics(num_classes=3)
    for features, labels, is_query in ((bank, bank_labels, False), (queries, query_labels, True)):
        for start in range(0, len(labels), 7):
            part = labels[start : start + 7]
            targets = {"label": part, "is_query": torch.full((len(part),), is_query)}
            metrics.update(features[start : start + 7], targets)
    return metrics.compute()


def test_probes_find_classes_that_features_tell_and_guess_where_they_do_not():
    scores = probed(*clusters(60, spread=0.05), *clusters(90, spread=0.05, seed=10))
    assert tuple(scores) == METRIC_NAMES
    assert min(scores.values()) > 0.9
    blind = probed(noise(60, 8), torch.arange(60) % 3, noise(300, 8, seed=5), torch.arange(300) % 3)
    assert all(value == pytest.approx(1 / 3, abs=0.1) for value in blind.values())


def test_labels_of_queries_change_the_score_and_never_the_calls():
    bank, bank_labels = clusters(60, spread=0.05)
    queries, labels = clusters(90, spread=0.05, seed=10)
    right = probed(bank, bank_labels, queries, labels)
    shifted = probed(bank, bank_labels, queries, (labels + 1) % 3)
    assert all(shifted[name] <= 1 - right[name] for name in METRIC_NAMES)


def test_the_vote_of_the_neighbours_is_worked_out_by_hand():
    bank = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 2])
    query = torch.tensor([[5.0, 0.0]])
    # One vote of exp(1 / 0.07) outweighs two of exp(0.8 / 0.07), but not forty of them.
    assert knn_calls(bank, labels, query, num_classes=3).item() == 0
    crowd = torch.cat([bank[:1], bank[1:2].repeat(40, 1)])
    crowd_labels = torch.tensor([0] + [1] * 40)
    assert knn_calls(crowd, crowd_labels, query, num_classes=3, num_neighbours=41).item() == 1
    assert knn_calls(crowd, crowd_labels, query, num_classes=3, num_neighbours=1).item() == 0


def test_the_linear_probe_lowers_its_cross_entropy_to_near_that_of_the_best_line():
    bank, labels = clusters(90, spread=0.4)
    bank, _ = standardise(bank, bank)
    probe = torch.nn.Linear(4, 3)
    torch.nn.init.zeros_(probe.weight)
    torch.nn.init.zeros_(probe.bias)
    best = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        best.zero_grad()
        loss = torch.nn.functional.cross_entropy(probe(bank), labels)
        loss.backward()
        return loss

    best.step(closure)
    agreement = (linear_calls(bank, labels, bank, num_classes=3) == probe(bank).argmax(1)).float().mean()
    assert agreement > 0.9


def test_standardising_uses_the_bank_alone_and_survives_a_constant_feature():
    bank, queries = torch.tensor([[0.0, 3.0], [2.0, 3.0]]), torch.tensor([[3.0, 9.0]])
    ours, asked = standardise(bank, queries)
    assert ours.tolist() == [[-1, 0], [1, 0]]
    assert asked.tolist() == [[2, 0]]


def test_parts_of_a_split_merge_into_the_whole():
    features, labels = clusters(60, spread=0.3)
    targets = {"label": labels, "is_query": torch.arange(60) >= 40}
    whole = ProbeMetrics(num_classes=3)
    whole.update(features, targets)
    parts = [ProbeMetrics(num_classes=3) for _ in range(2)]
    for part, rows in zip(parts, (slice(0, 30), slice(30, 60)), strict=True):
        part.update(features[rows], {name: values[rows] for name, values in targets.items()})
    parts[0].merge([part.state_dict() for part in parts])
    assert parts[0].compute() == whole.compute()
