"""The policies that come with the server; nothing of one is imported until it is asked for."""

from mailnode.policy.builtin import BuiltIn

iprev = BuiltIn("iprev", "iprev", "Whether the client's address has a name that leads back to it (iprev).")
spf = BuiltIn("spf", "spf", "Whether the domains that a client names let it send (SPF).")
dkim = BuiltIn("dkim", "dkim", "Whether a domain has signed a message (DKIM).")
arc = BuiltIn("arc", "arc", "Who sent a message on, and whether all of them are trusted (ARC).")
dmarc = BuiltIn("dmarc", "dmarc", "Whether the domain that a message says it is from vouches for it (DMARC).")
senders = BuiltIn("senders", "senders", "Lets in, and refuses, whom the operator lists.")
dnsbl = BuiltIn("dnsbl", "dnsbl", "Asks lists in DNS about addresses and domains; none by itself.")
rates = BuiltIn("rates", "rates", "Bounds how much mail comes from one place in a time.")
greylist = BuiltIn("greylist", "greylist", "Asks who is new to come again (greylisting).")
clamav = BuiltIn("clamav", "clamav", "What ClamAV's clamd finds in a message.")
rspamd = BuiltIn("rspamd", "rspamd", "What rspamd makes of a message.")
spamassassin = BuiltIn("spamassassin", "spamassassin", "What SpamAssassin's spamd makes of a message.")
reputation = BuiltIn("reputation", "reputation", "How each recipient found the sender's mail so far.")
words = BuiltIn("words", "words", "The words of a message, judged by what each recipient has taken for junk before.")
milter = BuiltIn("milter", "milter", "What a filter written for Sendmail or Postfix makes of a message.")
