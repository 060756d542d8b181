-- Schema 12: in which messages each term of the search index stands, apart from the terms: only what is found needs it.

ALTER TABLE search_terms ADD COLUMN places BLOB; -- NULL: of a version before; data had both
