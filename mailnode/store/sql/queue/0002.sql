-- Schema 2: of what is due to one destination some goes before the rest, and some after it.

ALTER TABLE envelope ADD COLUMN priority BIGINT NOT NULL DEFAULT 0; -- -9 to 9

-- 1 with a priority above 0, -1 with one below, NULL with none: mail that asks for nothing costs nothing.
ALTER TABLE recipient ADD COLUMN precedence BIGINT;

CREATE INDEX recipient_by_precedence ON recipient (shard, destination, precedence, due_at, envelope_id)
    WHERE precedence IS NOT NULL AND due_at IS NOT NULL;
