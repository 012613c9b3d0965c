-- How many incidents stand where is asked by every page; in the order of this index they are counted without sorting them first.
CREATE INDEX incident_list_standing ON incident_list (status, severity);
