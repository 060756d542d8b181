"""Real programs that judge mail, each on a free place in a folder of its own, with rules of the tests and no network."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from servers import Process, program, wait_for

from tests.free_ports import free_port
from tests.open_folder import open_folder

USER = pwd.getpwuid(os.getuid()).pw_name

RSPAMD = """options {{
  pidfile = "{folder}/pid"; tempdir = "{folder}"; hs_cache_dir = "{folder}"; url_tld = "{folder}/tld";
  control_socket = "{folder}/control mode=0600"; filters = "";
  dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "info"; }}
metric "default" {{ actions {{ reject = 15; add_header = 6; greylist = 4; }} }}
lua = "{folder}/own.lua";
worker "{worker}" {{ bind_socket = "127.0.0.1:{port}"; count = 1; {more} }}
"""
RULES = """
local function subject(name, score, word)
  rspamd_config:register_symbol{name = name, type = 'normal', score = score, callback = function(task)
    return (task:get_subject() or ''):find(word) ~= nil
  end}
end
subject('CHEAP', 7.0, 'cheap')
subject('MILD', 2.5, 'mild')
rspamd_config:register_symbol{name = 'SAYS', type = 'postfilter', callback = function(task)
  local subject = task:get_subject() or ''
  if subject:find('later') then task:set_pre_result('soft reject', 'Come back later') end
  if subject:find('never') then task:set_pre_result('reject', 'Never again') end
  local from, helo = task:get_from('smtp'), task:get_helo() or '-'
  local sender = from and from[1] and from[1].addr or '-'
  local rcpts = #(task:get_recipients('smtp') or {})
  task:set_milter_reply({add_headers = {['X-Told'] = table.concat({
    sender, tostring(rcpts), tostring(task:get_from_ip()), helo, task:get_queue_id()}, ' ')}})
end}
"""


class Rspamd:
    """rspamd without any of its modules: it starts in a second."""

    WORKER = ("normal", "mime = true;", "start_worker")

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.endpoint = f"tcp:127.0.0.1:{self.port}"
        (folder / "tld").write_text("com\ntest\n")
        (folder / "own.lua").write_text(RULES)
        worker, more, ready = self.WORKER
        text = RSPAMD.format(folder=folder, port=self.port, dns=free_port(), worker=worker, more=more)
        (folder / "rspamd.conf").write_text(text)
        command = [program("rspamd"), "-f", "-c", str(folder / "rspamd.conf"), "-u", USER, "-g", USER, "--insecure"]
        self.process = Process(command, cwd=folder)
        self.process.wait_ready(ready)

    def stop(self) -> None:
        """End it."""
        self.process.stop()


class RspamdMilter(Rspamd):
    """The same as a milter."""

    WORKER = (
        "rspamd_proxy",
        'milter = true; timeout = 20s; upstream "local" { default = true; self_scan = true; }',
        "rspamd_rs_compile_cb",
    )


class Clamd:
    """clamd that knows one thing."""

    BAD = b"octets that are very bad"

    def __init__(self, folder: Path) -> None:
        (folder / "database").mkdir(parents=True, exist_ok=True)
        (folder / "database" / "own.ndb").write_text(f"Ours.Test:0:*:{self.BAD.hex()}\n")
        self.endpoint = f"unix:{folder}/socket"
        (folder / "clamd.conf").write_text(
            f"LocalSocket {folder}/socket\nDatabaseDirectory {folder}/database\nForeground true\nStreamMaxLength 1M\n"
            f"TemporaryDirectory {folder}\nUser {USER}\n"
        )
        self.process = Process([program("clamd"), "-c", str(folder / "clamd.conf")], cwd=folder)
        try:
            wait_for((folder / "socket").exists, "clamd")
        except BaseException:
            self.process.stop()
            raise

    def stop(self) -> None:
        """End it."""
        self.process.stop()


class Spamd:
    """spamd with two rules and a report in its usual form."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._opened = open_folder("spamd")  # started by root, it reads its rules as somebody else
        folder = Path(self._opened.name)
        (folder / "rules").mkdir()
        (folder / "rules" / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
        (folder / "rules" / "own.cf").write_text(
            "required_score 5\nuse_bayes 0\nclear_report_template\nreport _SUMMARY_\n"
            "header CHEAP Subject =~ /cheap/\ndescribe CHEAP says cheap\nscore CHEAP 4.5\n"
            "header MILD Subject =~ /mild/\ndescribe MILD says mild\nscore MILD 1.3\n"
        )
        self.endpoint = f"tcp:127.0.0.1:{free_port()}"
        command = [program("spamd"), "--local", "--nouser-config", "--syslog=stderr", "-x"]
        command += [f"--listen={self.endpoint.removeprefix('tcp:')}", "--max-children=1", f"--pidfile={folder}/pid"]
        command += [f"--siteconfigpath={folder}/rules", f"--configpath={folder}/rules"]
        self.process = Process(command, cwd=folder)
        self.process.wait_ready("server pid")

    def stop(self) -> None:
        """End it."""
        self.process.stop()
        self._opened.cleanup()


class OpenDkim:
    """OpenDKIM as a milter that verifies, with the records of a test instead of DNS."""

    def __init__(self, folder: Path, records: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "socket"
        self.endpoint = f"unix:{self.socket}"
        (folder / "records").write_text("".join(f"{name} {text}\n" for name, text in records.items()))
        (folder / "opendkim.conf").write_text(
            f"Mode v\nUserID {USER}\nSocket local:{self.socket}\nBackground no\nSyslog no\nPidFile {folder}/pid\n"
            f"AuthservID milter.a.test\nAlwaysAddARHeader yes\nTestDNSData {folder}/records\n"
        )
        self.process = Process([program("opendkim"), "-f", "-x", str(folder / "opendkim.conf")], cwd=folder)
        try:
            wait_for(self.socket.exists, "opendkim")
        except BaseException:
            self.process.stop()
            raise

    def stop(self) -> None:
        """End it."""
        self.process.stop()
