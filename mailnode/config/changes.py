"""What is different between two configurations, and what of it can be taken over by a server that runs."""

from __future__ import annotations

from mailnode.config.schema import Config

LIVE = (
    "limits",
    "submission",
    "imap",
    "domain",
    "dkim",
    "mta_sts",
    "published",
    "doctor",
    "sieve",
    "queue.arc",
    "server.grace",
    "tls.certificate",
    "tls.key",
    "tls.name",
    "auth.no_throttle_for",
    "auth.password_min_length",
    "auth.password_refuse_common",
)  # sections, and keys of them


def is_live(key: str) -> bool:
    """Whether a key, ``section.key``, can change while the server runs."""
    return key in LIVE or key.partition(".")[0] in LIVE or key.startswith("tls.name.")


def live(config: Config, wanted: Config) -> Config:
    """Return a configuration with what can be taken over of another one."""
    update = {}
    for name in Config.model_fields:
        before, after = getattr(config, name), getattr(wanted, name)
        if name in LIVE:
            update[name] = after
        elif before is not None and after is not None and not isinstance(before, list):
            keys = {key: getattr(after, key) for key in type(before).model_fields if f"{name}.{key}" in LIVE}
            update[name] = before.model_copy(update=keys)
    return config.model_copy(update=update)


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
