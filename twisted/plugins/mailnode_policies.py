"""The policies that come with the server; nothing of one is imported until it is asked for."""

from mailnode.policy.builtin import BuiltIn

dmarc = BuiltIn("dmarc", "dmarc", "Whether the domain that a message says it is from vouches for it (DMARC).")
