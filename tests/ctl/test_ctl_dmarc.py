"""What the commands say of reports of DMARC, those of others and those that will be sent, and of reports of TLS that came."""

import json

import pytest
from click.testing import CliRunner

from mailnode.config.loader import load
from mailnode.ctl.main import main
from mailnode.message.received_reports import read_report
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.dmarc import DmarcRecord, FoundRecord
from mailnode.values.dmarc_report import DmarcSeen
from tests.message.report_samples import NEW, TLS

RECORD = DmarcRecord("reject", rua=("mailto:a@d.example",))
SEEN = DmarcSeen(FoundRecord("d.example", RECORD), "192.0.2.1", "d.example", "", "reject", False, False)
REPORTS = '[dmarc_reports]\nsender = "dmarc@a.example"\norganization = "A"\n'


class DmarcTool:
    """The command on one configuration, and what is kept beside it."""

    def __init__(self, folder, more=""):
        self.file = folder / "mailnode.toml"
        (folder / "data").mkdir(mode=0o700)
        self.file.write_text(
            '[server]\nhostname = "mx.a.example"\ndata = "data"\n'
            f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25"\n{more}'
        )

    def keep(self):
        with administration(load(self.file)) as admin:
            for text, verified in ((NEW, True), (json.dumps(TLS), False)):
                run_now(admin.received_reports.add(read_report(text.encode(), "8bit"), "far.example", verified, 1.0))

    def count(self):
        with administration(load(self.file)) as admin:
            admin.dmarc_results.note(SEEN)
            run_now(admin.dmarc_results.collected())

    def __call__(self, *arguments, code=0):
        done = CliRunner().invoke(main, ["--config", str(self.file), *arguments])
        assert done.exit_code == code and "Traceback" not in done.output
        return done.stderr if code else done.stdout


@pytest.fixture
def tool(tmp_path):
    return DmarcTool(tmp_path, REPORTS)


def test_who_sends_as_a_domain(tool):
    assert tool("dmarc", "reports") == tool("dmarc", "received") == tool("tls", "received") == ""
    tool.keep()
    told = tool("dmarc", "reports").splitlines()
    assert [line.split()[:5] for line in told[1:]] == [
        ["example.com", "2001:db8::1", "0", "2", "1"],
        ["example.com", "192.0.2.123", "123", "0", "1"],
    ]
    (failing,) = json.loads(tool("dmarc", "reports", "--failing", "--json"))
    assert (failing["source"], failing["last"]) == ("2001:db8::1", "1979-08-07T23:59:59Z")
    assert tool("dmarc", "reports", "--domain", "other.example") == ""


def test_one_report(tool):
    tool.keep()
    (listed,) = json.loads(tool("dmarc", "received", "--domain", "Example.com", "--json"))
    assert (listed["organization"], listed["sender"], listed["verified"]) == ("Sample <Reporter>", "far.example", True)
    shown = tool("dmarc", "report", listed["id"])
    assert "p=quarantine sp=none testing=n" in shown and "exception: mailing_list" in shown
    assert "no such report" in tool("dmarc", "report", "nothing", code=3)
    assert "no such report" in tool("tls", "received-report", listed["id"], code=3)


def test_reports_of_tls(tool):
    tool.keep()
    (listed,) = json.loads(tool("tls", "received", "--json"))
    assert (listed["domain"], listed["passed"], listed["failed"], listed["verified"]) == (
        *("company-y.example", 5326, 303),
        False,
    )
    assert "certificate-expired" in tool("tls", "received-report", listed["id"])


def test_what_will_be_sent(tool):
    assert "nothing is to be reported" in tool("dmarc", "draft", "d.example", code=3)
    tool.count()
    (due,) = json.loads(tool("dmarc", "due", "--json"))
    assert (due["domain"], due["passed"], due["failed"], due["left_out"]) == ("d.example", 0, 1, 0)
    assert "<source_ip>192.0.2.1</source_ip>" in tool("dmarc", "draft", "D.example")
    assert "of 2001-01-01" in tool("dmarc", "draft", "d.example", "--day", "2001-01-01", code=3)


def test_without_the_section_nothing_is_counted(tmp_path):
    tool = DmarcTool(tmp_path)
    tool.count()
    assert tool("dmarc", "due") == ""
    assert "there is no [dmarc_reports]" in tool("dmarc", "draft", "d.example", code=3)
