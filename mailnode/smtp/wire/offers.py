"""What a server offers in its answer to EHLO."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode.values.smtp_reply import Reply

Offers = Mapping[str, str]  # keyword in capitals to its parameters


def read_offers(reply: Reply) -> dict[str, str]:
    """Read the keywords of an EHLO reply."""
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):  # the form of old servers, before RFC 2554
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        if keyword == "AUTH" and "AUTH" in found:
            parameters = f"{found['AUTH']} {parameters}"
        if keyword:
            found[keyword] = parameters
    return found
