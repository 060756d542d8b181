"""The version of the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("mailnode")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "unpackaged"
