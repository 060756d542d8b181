"""All items, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.setup.answers import Question
from mailnode.setup.items import (
    account,
    certificate,
    configuration,
    directories,
    earlier_mail,
    host_name,
    issued,
    outgoing,
    records,
    round_trip,
    service,
    system_user,
    tsig,
    web_server,
)
from mailnode.setup.row import AnyItem, LookedAt, Surrounded
from mailnode.setup.words import ADDRESSES, HOST_NAME, SYSTEM_USER
from mailnode.values.item import Item


def _checked(around: Surrounded) -> Sequence[Item]:
    return around.checked(outgoing.asked(around, service.is_running(around)))


ITEMS: tuple[AnyItem, ...] = (
    host_name.ITEM,
    LookedAt("checks", _checked, (host_name.NAME,)),
    system_user.ITEM,
    directories.ITEM,
    outgoing.ITEM,
    certificate.ITEM,
    configuration.ITEM,
    service.UNIT_ITEM,
    service.ITEM,
    account.DOMAIN_ITEM,
    account.DKIM_ITEM,
    account.ITEM,
    records.FILES_ITEM,
    records.PUBLISHED_ITEM,
    web_server.ITEM,
    records.ITEM,
    issued.ITEM,
    records.PINS_ITEM,
    round_trip.ARRIVES_ITEM,
    round_trip.ITEM,
    earlier_mail.ITEM,
)

QUESTIONS: tuple[Question, ...] = (
    HOST_NAME,
    ADDRESSES,
    SYSTEM_USER,
    outgoing.DIRECT,
    outgoing.SMARTHOST,
    outgoing.PORT,
    outgoing.USERNAME,
    outgoing.PASSWORD,
    *certificate.QUESTIONS,
    account.PASSWORD,
    *tsig.QUESTIONS,
    round_trip.ARRIVED,
    round_trip.ECHO,
)
