-- Whether an attempt ended without anybody knowing how (a killed sender, a lost answer): the service may have taken it.
ALTER TABLE deliveries ADD COLUMN doubtful BIGINT NOT NULL DEFAULT 0;
