"""The policies that come with the server, by the door any plug-in comes in by. Nothing of one is imported until it is asked for.

A policy is a module of this room, with ``OPTIONS``, a model of its options (:mod:`mailnode.policy.options`), and ``make(options,
context)``, which is given such a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from twisted.plugin import IPlugin
from zope.interface import implementer

from mailnode.interfaces.policy import IPluginContext, IPolicy, IPolicyFactory, PolicyOptions
from mailnode.policy.options import OptionModel, read


class PolicyModule(Protocol):
    """A module with a policy."""

    OPTIONS: type[OptionModel]

    def make(self, options: OptionModel, context: IPluginContext) -> IPolicy:
        """Return the policy. :raises mailnode.errors.ConfigurationError: the options do not go together."""


@implementer(IPlugin, IPolicyFactory)
@dataclass(frozen=True, slots=True)
class BuiltIn:
    """``module``: of this room."""

    name: str
    module: str
    help: str

    @property
    def options(self) -> dict[str, str]:
        """See :class:`IPolicyFactory`."""
        fields = self._imported().OPTIONS.model_fields
        return {name: field.description or "" for name, field in fields.items()}

    def make(self, options: PolicyOptions, context: IPluginContext) -> IPolicy:
        """See :class:`IPolicyFactory`."""
        module = self._imported()
        return module.make(read(module.OPTIONS, options), context)

    def _imported(self) -> PolicyModule:
        return cast(PolicyModule, import_module(f"mailnode.policy.{self.module}"))
