"""What the commands say of TLS with the servers of other domains, and of reports about it."""

import json
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from mailnode.config.loader import load
from mailnode.ctl.main import main
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.tls_report import AUTHENTIC, DAY, PLAIN, ReportedPolicy, TlsSession, day_name

MX = TlsSession("d.example", ReportedPolicy("d.example"), "mx.d.example", "192.0.2.1", "192.0.2.9", level=AUTHENTIC)
WORSE = replace(MX, level=PLAIN, result="starttls-not-supported", reason="the server does not offer STARTTLS")
REPORTS = '[tls_reports]\nsender = "tls@a.example"\norganization = "A"\n'


class Tool:
    """The command on one configuration, and connections that are noted beside it."""

    def __init__(self, folder, more=""):
        self.file = folder / "mailnode.toml"
        (folder / "data").mkdir(mode=0o700)
        self.file.write_text(
            '[server]\nhostname = "mx.a.example"\ndata = "data"\n'
            f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25"\n{more}'
        )

    def note(self, *sessions):
        with administration(load(self.file)) as admin:
            for session in sessions:
                admin.tls_results.note(session)
                run_now(admin.tls_results.collected())

    def __call__(self, *arguments, code=0):
        done = CliRunner().invoke(main, ["--config", str(self.file), "tls", *arguments])
        assert done.exit_code == code and "Traceback" not in done.output
        return done.stderr if code else done.stdout


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path, REPORTS)


def test_servers_and_what_is_worse(tool):
    assert tool("servers") == tool("downgrades") == ""
    tool.note(MX, WORSE)
    assert "mx.d.example  verified" in tool("servers", "--domain", "D.example")
    assert tool("servers", "--domain", "e.example") == ""
    assert "not an address or domain" in tool("servers", "--domain", "e..example", code=2)
    told = tool("downgrades")
    assert "verified  plain" in told and "does not offer STARTTLS" in told
    [one] = json.loads(tool("downgrades", "--json"))
    assert (one["domain"], one["result"], one["address"]) == ("d.example", "starttls-not-supported", "192.0.2.1")


def test_reports(tool):
    assert tool("reports") == ""
    assert "nothing is to be reported" in tool("report", "d.example", code=3)
    tool.note(MX, WORSE, MX)
    today = day_name(int(time.time() // DAY))
    [one] = json.loads(tool("reports", "--json"))
    assert (one["domain"], one["succeeded"], one["failed"], one["tries"]) == ("d.example", 2, 1, 0)
    assert one["day"] in (today, day_name(int(time.time() // DAY) - 1)) and one["due"] > one["day"]
    report = json.loads(tool("report", "d.example"))
    assert report["report-id"] == f"{one['day']}.d.example@mx.a.example"
    assert json.loads(tool("report", "d.example", "--day", one["day"], "--json"))["report"] == report
    assert "of 2001-01-01" in tool("report", "d.example", "--day", "2001-01-01", code=3)


def test_without_the_section_nothing_is_counted_for_reports(tmp_path):
    tool = Tool(tmp_path)
    tool.note(MX)
    assert tool("reports") == "" and "mx.d.example" in tool("servers")
    assert "there is no [tls_reports]" in tool("report", "d.example", code=3)
