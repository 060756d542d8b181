"""``sieve-test`` of Debian's dovecot-sieve: what it says that is to be done, in the words that ours are put into."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

PROGRAM = shutil.which("sieve-test")
SENDER, RECIPIENT = "sender@example.org", "me+detail@example.com"
# Those that are not there without being asked for.
EXTENSIONS = """+editheader +mboxmetadata +servermetadata +vacation-seconds +spamtest +spamtestplus +virustest
+vnd.dovecot.duplicate +vnd.dovecot.environment +vnd.dovecot.debug +special-use"""
BROKEN = "broken"
CONFIGURATION = """
mail_location = maildir:{folder}/mail
log_path = /dev/null
ssl = no
base_dir = {folder}/run
state_dir = {folder}/run
postmaster_address = postmaster@example.com
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
plugin {{
  sieve_max_actions = 0
  sieve_max_redirects = 10
  sieve_vacation_min_period = 0
  sieve_duplicate_default_period = 7d
  sieve_extensions = {extensions}
  sieve_spamtest_status_type = score
  sieve_spamtest_status_header = X-Spam-Score
  sieve_spamtest_max_value = 10
  sieve_user_email = me@example.com
}}
"""
_BLOCKS = re.compile(r"^(Performed actions|Implicit keep):$", re.MULTILINE)


class Oracle:
    """One configuration in a folder of its own; :meth:`run` starts the program once. It does not run as root: then it is nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._configuration = folder / "dovecot.conf"
        for name in ("mail", "run", "work"):
            (folder / name).mkdir()
            if os.getuid() == 0:
                os.chown(folder / name, user.pw_uid, user.pw_gid)
        self._configuration.write_text(
            CONFIGURATION.format(
                folder=folder, uid=user.pw_uid, gid=user.pw_gid, extensions=" ".join(EXTENSIONS.split())
            ),
            encoding="utf-8",
        )

    def run(self, script: bytes, message: bytes, sender: str = SENDER, recipient: str = RECIPIENT) -> list[str]:
        """Return what is to be done, a line each; "refused" where the script cannot be compiled, "failed" where it fails."""
        work = self._folder / "work"
        (work / "script.sieve").write_bytes(script)
        (work / "message.eml").write_bytes(message)
        (work / "script.svbin").unlink(missing_ok=True)
        assert PROGRAM is not None
        done = subprocess.run(
            [PROGRAM, "-c", str(self._configuration), "-C", "-f", sender, "-r", recipient, "-a", recipient]
            + [str(work / "script.sieve"), str(work / "message.eml")],
            capture_output=True,
            timeout=60,
            check=False,
        )
        told = done.stdout.decode("utf-8", "replace")
        if "Performed actions" not in told:
            errors = done.stderr.decode("utf-8", "replace")
            if "corrupt binary" in errors:  # what it compiled a script to it cannot run
                return [BROKEN]
            if "resolved with successful implicit keep" in errors:
                return ["failed", "implicit file INBOX []"]
            return ["refused"] if "failed to compile" in errors else [f"nothing: {done.returncode} {errors}"]
        failed = done.returncode != 0 or "final result: failed" in done.stderr.decode("utf-8", "replace")
        return [*(["failed"] if failed else []), *_actions(told)]


def _actions(told: str) -> list[str]:
    blocks = _BLOCKS.split(told)
    found = []
    for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
        implicit = name == "Implicit keep"
        for item in re.split(r"^ \* ", block, flags=re.MULTILINE)[1:]:
            found.append(_action(item, implicit))
    return sorted(found)


def _action(item: str, implicit: bool) -> str:
    first, _, rest = item.partition("\n")
    flags = re.search(r"add IMAP flags: (.*)", rest)
    marks = " ".join(sorted(flags[1].lower().split())) if flags else ""
    if first.startswith("store message in folder: "):
        mailbox = first.removeprefix("store message in folder: ").strip()
        return f"{'implicit ' if implicit else ''}file {mailbox} [{marks}]"
    if first.startswith("redirect message to: "):
        return f"redirect {first.removeprefix('redirect message to: ').strip().strip('<>')}"
    if first.startswith("send vacation message"):
        seconds = re.search(r"seconds : (\d+)", rest)
        text = re.search(r"START MESSAGE\n(.*?)\n?END MESSAGE", rest, re.DOTALL)
        return f"vacation {seconds[1] if seconds else ''} {text[1].strip() if text else ''}"
    return first.strip().lower()
