"""The averaged weights against the recurrence worked out by hand."""

import torch

from models.training.average import Average


def test_the_average_follows_its_recurrence_and_goes_on_from_a_saved_state():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    average, decay, expected = Average(network, 0.3), 0.3, None
    for step, weight in enumerate([2.0, 4.0, -1.0, 5.0, 0.5, 3.0]):
        with torch.no_grad():
            network[0].weight.fill_(weight)
        network[1].num_batches_tracked.fill_(step)
        average.follow(network)
        kept = min(decay, (1 + step) / (10 + step))
        expected = weight if expected is None else kept * expected + (1 - kept) * weight
        assert abs(average.network[0].weight.item() - expected) < 1e-6
        assert average.network[1].num_batches_tracked == step
        again = Average(network, 0.3)
        again.load_state_dict(average.state_dict())
        average = again
    assert not any(parameter.requires_grad for parameter in average.parameters())
