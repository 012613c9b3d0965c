-- Which rows somebody was short of, without looking at every row that a holder was lent some of.

CREATE INDEX ledger_rows_recalled ON ledger_rows (recall_ms) WHERE recall_ms > 0;
