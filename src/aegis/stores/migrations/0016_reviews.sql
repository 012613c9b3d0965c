-- Reviews that people do every month or quarter: who owns each, when it is due, and who did it last.

CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    every TEXT NOT NULL,
    due TEXT NOT NULL,
    owner TEXT NOT NULL,
    how TEXT NOT NULL,
    done_us BIGINT,
    done_by TEXT NOT NULL,
    told TEXT NOT NULL
);
