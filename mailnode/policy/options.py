"""Options of a built-in policy: a model says their types, defaults, bounds and help."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import PolicyOptions


class OptionModel(BaseModel):
    """Of one policy; each field has a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


T = TypeVar("T", bound=OptionModel)


def read(model: type[T], given: PolicyOptions) -> T:
    """Return the options that were given. :raises ConfigurationError: all that is wrong with them."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigurationError(mistakes) from None
