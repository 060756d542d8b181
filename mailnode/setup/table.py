"""All items, in the order in which they are done."""

from __future__ import annotations

from mailnode.setup.answers import Question
from mailnode.setup.items import (
    account,
    certificate,
    configuration,
    directories,
    host_name,
    outgoing,
    service,
    system_user,
)
from mailnode.setup.row import SetupItem
from mailnode.setup.words import ADDRESSES, HOST_NAME, SYSTEM_USER

ITEMS: tuple[SetupItem, ...] = (
    host_name.ITEM,
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
    certificate.CERTIFICATE,
    certificate.KEY,
    account.PASSWORD,
)
