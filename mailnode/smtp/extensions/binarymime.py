"""BINARYMIME (RFC 3030 3): content of any octets, by BDAT alone. The value of BODY that says so is read beside 8BITMIME's.

What has come is judged as it came, and then said in lines (:mod:`mailnode.message.binary_mime`): nobody behind the door, no mailbox
and no next hop, ever sees anything else. Not on LMTP, whose clients have such mail in lines.
"""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension

ROWS = (Extension(keyword="BINARYMIME", offered=lambda greeted: None if greeted.profile.lmtp else ""),)
