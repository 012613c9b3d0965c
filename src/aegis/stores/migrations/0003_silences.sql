-- Silences, and deliveries that are for one person alone.

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    over_us BIGINT NOT NULL,            -- when it ends, or was ended
    ended_us BIGINT NOT NULL DEFAULT 0, -- when somebody ended it early; 0: nobody did
    held BIGINT NOT NULL DEFAULT 0,     -- messages that it kept back
    body TEXT NOT NULL
);
CREATE INDEX silences_over ON silences (over_us);

-- `channel:contact` of whom it is for alone; empty: for everybody whom the service tells.
ALTER TABLE deliveries ADD COLUMN recipient TEXT NOT NULL DEFAULT '';
