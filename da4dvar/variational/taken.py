"""Whether the networks of a model take the covariates that there are."""

from __future__ import annotations

from torch import nn

from da4dvar.errors import RecipeError


def check_channels(model: nn.Module, channels: int) -> None:
    """Refuse covariates that no network reads, and networks made for another number of them.

    Parameters
    ----------
    model : nn.Module
        Every part of it that reads covariates says how many channels of them in an attribute `covariates`.
    channels : int
        Channels of the covariates that there are.

    Raises
    ------
    RecipeError

    Examples
    --------
    >>> from da4dvar.variational.priors.unet import UNet
    >>> check_channels(UNet(1, ("zero",), covariates=2), 2)
    """
    taken = {type(m).__name__: m.covariates for m in model.modules() if getattr(m, "covariates", 0)}
    if channels and not taken:
        raise RecipeError(
            f"data: there are {channels} channels of covariates, but neither the prior nor the solver takes "
            "any; use a prior of kind 'unet' or a solver of kind 'lstm' or 'direct', or leave them out"
        )
    for name, count in taken.items():
        if count != channels:
            raise RecipeError(
                f"{name}: covariates is {count}, but the data have {channels} channels of them; "
                "leave the number out of a recipe, or name the covariates in [data]"
            )
