"""What the commands say of the policies that judge mail."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from mailnode.admin.dispatch import run
from mailnode.config.loader import load
from mailnode.ctl.main import main
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.policy import PolicyAnswer


class Tool:
    """The command on one configuration, and answers that are noted beside it."""

    def __init__(self, folder, more=""):
        self.file = folder / "mailnode.toml"
        (folder / "data").mkdir(mode=0o700)
        self.file.write_text(
            '[server]\nhostname = "mx.a.example"\ndata = "data"\n'
            f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25"\n{more}'
        )

    def note(self, *answers):
        with administration(load(self.file)) as admin:
            for answer in answers:
                admin.policy_tally.note(answer)
            run_now(admin.policy_tally.totals(0))

    def __call__(self, *arguments, code=0):
        done = CliRunner().invoke(main, ["--config", str(self.file), "policy", *arguments])
        assert done.exit_code == code and "Traceback" not in done.output
        return done.stderr if code else done.stdout


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path, "[judgement]\nchecks = []\n")


def test_what_other_processes_have_counted_is_written_first(tool):
    with administration(load(tool.file)) as admin:

        async def write():
            admin.policy_tally.note(PolicyAnswer("dnsbl", "rcpt", "pass"))

        [told] = run_now(run(replace(admin, write_counts=write), "policy.stats", {}))
        assert (told["policy"], told["asked"]) == ("dnsbl", 1)


def test_what_each_policy_answered(tool):
    assert tool("stats") == "" and tool("list") == ""
    tool.note(
        PolicyAnswer("dnsbl", "rcpt", "refuse", seconds=0.2),
        PolicyAnswer("dnsbl", "rcpt", "suspect", 2.5),
        PolicyAnswer("dnsbl", "end", "suspect", 1.5),
        PolicyAnswer("dnsbl", "rcpt", "pass"),
        PolicyAnswer("greylist", "end", "defer"),
        PolicyAnswer("greylist", "end", "defer"),
        PolicyAnswer("spf", "mail", "trust", -0.5),
    )
    greylist, dnsbl, spf = json.loads(tool("stats", "--json"))
    assert (greylist["policy"], greylist["asked"], greylist["deferred"], greylist["refused"]) == ("greylist", 2, 2, 0)
    assert (dnsbl["asked"], dnsbl["refused"], dnsbl["suspected"], dnsbl["suspected_score"]) == (4, 1, 2, 4.0)
    assert (dnsbl["milliseconds"], dnsbl["stages"]) == (50.0, {"end": 1, "rcpt": 3})
    assert (spf["trusted"], spf["trusted_score"]) == (1, -0.5)
    shown = tool("stats", "--since", "7d")
    assert shown.splitlines()[0].split()[:4] == ["policy", "asked", "refused", "deferred"]
    assert shown.splitlines()[1].split()[:4] == ["greylist", "2", "0", "2"]
    assert "--since" in tool("stats", "--since", "soon", code=2)
