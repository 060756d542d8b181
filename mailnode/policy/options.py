"""Options of a built-in policy: a model says their types, defaults, bounds and help."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import PolicyOptions
from mailnode.values import units
from mailnode.values.mistakes import place, words

OptionSeconds = Annotated[float, Field(gt=0, le=31_536_000), BeforeValidator(units.seconds)]


class OptionModel(BaseModel):
    """Of one policy; each field has a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


T = TypeVar("T", bound=OptionModel)


def score(default: float, when: str) -> float:
    """Return an option that is a score. :param when: it is added, in words."""
    option: float = Field(
        default, ge=-100, le=100, allow_inf_nan=False, description=f"What is added to the score where {when}."
    )
    return option


def read(model: type[T], given: PolicyOptions) -> T:
    """Return the options that were given. :raises ConfigurationError: all that is wrong with them."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        mistakes = [
            f"{place('', one['loc'])}: {words(one['type'], one['msg'], one['input'])}"
            for one in error.errors(include_url=False)
        ]
        raise ConfigurationError(mistakes) from None
