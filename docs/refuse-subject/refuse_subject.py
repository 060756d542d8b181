"""A policy for mailnode: refuse messages by words in their subject."""

from email.header import decode_header, make_header
from email.parser import BytesHeaderParser

from zope.interface import implementer

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.values.policy import PASS, Verdict


@implementer(IPolicy)
class RefuseSubject:
    """Refuses a message whose subject holds one of the words, whatever their case."""

    name = "refuse-subject"
    stages = frozenset(["end"])
    only_strangers = False

    def __init__(self, options, context):
        words = options.get("words", [])
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise ConfigurationError(["words: a list of words"])
        self._words = [word.casefold() for word in words]

    async def judge(self, request):
        header = BytesHeaderParser().parsebytes(request.header)
        subject = str(make_header(decode_header(header.get("Subject", "")))).casefold()
        if any(word in subject for word in self._words):
            return Verdict("refuse", "5.7.1", "This server does not take messages with such a subject")
        return PASS
