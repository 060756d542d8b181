"""What is different between two configurations."""

from __future__ import annotations

from mailnode.config.schema import Config


def changed_keys(old: Config, new: Config) -> list[str]:
    """Return the keys, ``section.key`` or ``section[N]``, that differ between two configurations."""
    keys: list[str] = []
    for name in Config.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, list):
            pairs = range(max(len(before), len(after)))
            keys += [f"{name}[{index}]" for index in pairs if before[index : index + 1] != after[index : index + 1]]
        elif before is None or after is None:
            keys.append(name)
        else:
            keys += [
                f"{name}.{key}" for key in type(before).model_fields if getattr(before, key) != getattr(after, key)
            ]
    return keys
