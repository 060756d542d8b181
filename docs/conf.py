"""Sphinx configuration."""

project = "mailnode"
copyright = "2026, the mailnode authors"
extensions: list[str] = []
html_theme = "furo"
exclude_patterns = ["_build", "refuse-subject"]
nitpicky = True
