"""The layers of any network in order, so that training can freeze the base and unfreeze it from the end."""

from collections.abc import Iterator

from torch import nn

from models.networks.classifier import Classifier


def layer_groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each block from the input to the output; the last group is the head.

    Blocks without parameters are left out. Networks of timm define their own order (`group_matcher`).
    """
    if isinstance(network, Classifier):
        blocks: list[nn.Module] = [*network.blocks, network.pool, network.head]
        groups = [list(block.parameters()) for block in blocks]
    else:
        groups = list(_timm_groups(network))
    return [group for group in groups if group]


def open_last(network: nn.Module, blocks: int | None) -> None:
    """Unfreeze the head and the last `blocks` blocks of the base, and freeze the blocks before them.

    Args:
        network: any network of the registry.
        blocks: 0 trains the head only (feature extraction); None unfreezes everything.
    """
    groups = layer_groups(network)
    first_open = 0 if blocks is None else max(0, len(groups) - 1 - blocks)
    for number, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(number >= first_open)


def rest_frozen(network: nn.Module) -> None:
    """Put modules whose own parameters are all frozen into inference mode, so that batch statistics do not change.

    It does nothing to a network without frozen parameters. Call it after every `network.train()`.
    """
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def count_trainable(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _timm_groups(network: nn.Module) -> Iterator[list[nn.Parameter]]:
    from timm.models import group_parameters

    named = dict(network.named_parameters())
    head_module = getattr(network, "get_classifier", lambda: None)()
    head = {id(parameter) for parameter in head_module.parameters()} if isinstance(head_module, nn.Module) else set()
    names = list(group_parameters(network, network.group_matcher(coarse=True)).values())  # type: ignore[operator]  # timm's
    # Layers between the last block and the head, such as a final norm, train together with that block.
    names[-2:] = [[*names[-2], *names[-1]]]
    for group in names:
        yield [named[name] for name in group if id(named[name]) not in head]
    yield [parameter for parameter in named.values() if id(parameter) in head]


def feature_layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers with a feature map (N, C, H, W), in order; empty for a network without such maps."""
    if isinstance(network, Classifier):
        return list(network.blocks)
    stages = getattr(network, "feature_info", None)
    if not stages or not any(isinstance(module, nn.Conv2d) for module in list(network.modules())[-20:]):
        return []
    return [network.get_submodule(stage["module"]) for stage in stages]
