-- What may be lost: decaying counters of throttles and rates.

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    amount DOUBLE PRECISION NOT NULL, -- as it stood at moment
    moment DOUBLE PRECISION NOT NULL, -- UTC seconds
    half_life DOUBLE PRECISION NOT NULL, -- seconds
    forget_at DOUBLE PRECISION NOT NULL -- when so little is left that the row may go
) WITHOUT ROWID;

CREATE INDEX counter_by_forget_at ON counter (forget_at);
