"""Tells mailnode of the policy. Imported whenever plug-ins are listed: the policy itself is imported when it is made."""

from twisted.plugin import IPlugin
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicyFactory


@implementer(IPlugin, IPolicyFactory)
class RefuseSubjectFactory:
    name = "refuse-subject"
    help = "Refuse messages by words in their subject."
    options = {"words": "list of words, any case"}

    def make(self, options, context):
        from refuse_subject import RefuseSubject

        return RefuseSubject(options, context)


refuse_subject = RefuseSubjectFactory()
