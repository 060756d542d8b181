"""Rules of an account that two people change at the same moment."""

from dataclasses import replace

import pytest

from mailnode.admin.dispatch import run
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.demo import demo_config
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.sieve.rules import write_rules

ANN = "ann@mailnode.test"


class Between:
    """Threads; between what one operation has read and what it stores another one runs."""

    def __init__(self, threads, other):
        self._threads = threads
        self._other = other

    async def run(self, kind, function, *args):
        if function is write_rules:
            await self._other()
        return await self._threads.run(kind, function, *args)


@pytest.mark.parametrize("rules", [[], ["First"]], ids=["none", "some"])
def test_a_rule_that_somebody_else_adds_meanwhile_is_not_lost(tmp_path, rules):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with administration(demo_config(data)) as admin:

        def does(admin, operation, **arguments):
            return run(admin, operation, {"account": ANN, **arguments})

        run_now(run(admin, "account.add", {"address": ANN, "password": "quite a good one"}))
        for name in rules:
            run_now(does(admin, "filter.add", name=name, delete=True))
        other = replace(
            admin,
            threads=Between(admin.threads, lambda: does(admin, "filter.add", name="Theirs", delete=True)),
        )
        with pytest.raises(OperationFailed) as caught:
            run_now(does(other, "filter.add", name="Ours", folder="Work"))
        assert caught.value.reason is Reason.CONFLICT
        assert caught.value.text.startswith(f"{ANN}: somebody else has changed it at the same moment")
        assert [one["name"] for one in run_now(does(admin, "filter.list"))["rules"]] == [*rules, "Theirs"]
