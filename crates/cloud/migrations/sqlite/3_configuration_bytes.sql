-- A value may hold any character, also the one with the number 0, which not every database takes in a text: it is kept as bytes.
UPDATE configs SET value = CAST(value AS BLOB);
