"""A process that changes the account ``ann`` as often as it is told, many times at once, and says which modseqs it was given
and how often its units ran."""

from __future__ import annotations

import json
import sys

from store_support import PARTITIONS, Loop

from mailnode.store.engines.engine import Transaction, mail_tenancy, of_account
from mailnode.store.engines.postgres import PostgresEngine
from mailnode.store.units import accounts

runs = []


@of_account
def change(tx: Transaction, account_id: str) -> int:
    runs.append(account_id)
    tx.execute("SELECT keywords FROM account WHERE account_id = ?", (account_id,))
    return accounts.touch(tx, account_id)[0]


def main() -> None:
    settings = json.loads(sys.argv[1])
    loop = Loop()
    engine = PostgresEngine(settings["url"], PARTITIONS, loop.call_from_thread, prefix=settings["prefix"])
    loop.run(engine.start())
    tenancy = mail_tenancy(settings["number"])
    modseqs = loop.together(*(engine.write(tenancy, change, "ann") for _ in range(settings["units"])))
    loop.run(engine.stop())
    print(json.dumps({"modseqs": modseqs, "runs": len(runs)}))


if __name__ == "__main__":
    main()
