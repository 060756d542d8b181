"""The section ``[imap]`` of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from mailnode.config.fields import Called, Section
from mailnode.values.capability import capability_name

SMALLEST_LIMIT = 1000  # messages: RFC 9738 would not have programs come back more often


def _limit(number: int) -> int:
    if 0 < number < SMALLEST_LIMIT:
        raise ValueError(f"not 0, and below {SMALLEST_LIMIT}")
    return number


Limit = Annotated[int, AfterValidator(_limit), Field(ge=0, le=1_000_000_000), Called("number")]
Capability = Annotated[str, AfterValidator(capability_name), Called("name of a capability")]


class ImapClient(Section):
    """What one mail program is not told of, because it uses it wrongly."""

    name: str = Field(
        min_length=1, max_length=1024, description="What it calls itself by ``ID``; capitals do not matter."
    )
    hide: list[Capability] = Field(
        min_length=1, description="Capabilities that are hidden from it once it has said so."
    )


class Imap(Section):
    """What mail programs are told of. What is hidden stands in no CAPABILITY, ENABLE passes it over, and what came with it is
    neither taken nor said. For one account: ``mailnode account hide-capability``. Unless ``[[imap.client]]`` says anything else,
    "Microsoft Office 365" is not told of UIDONLY, which it enables and then does not keep to."""

    hide: list[Capability] = Field([], description="Capabilities that are hidden from all.")
    message_limit: Limit = Field(
        0,
        description="Messages that one FETCH, STORE, MOVE, UID EXPUNGE, SEARCH, SORT or THREAD works on: of more the newest,"
        " which it says (MESSAGELIMIT, RFC 9738); COPY and APPEND of more are refused, and ESEARCH over several mailboxes with more"
        " together. 0: any number. Programs that do not know of it take what they get for all there is: hide it from them"
        " (``MESSAGELIMIT=1000``), and it does not hold for them.",
    )
    save_limit: Limit = Field(
        0,
        description="Messages that one COPY or APPEND saves (SAVELIMIT, RFC 9738); of more it is refused. 0: any number.",
    )
    client: list[ImapClient] = Field(
        [ImapClient(name="Microsoft Office 365", hide=["UIDONLY"])],
        description="Programs that are not told of everything. Whoever gives some gives all.",
    )
