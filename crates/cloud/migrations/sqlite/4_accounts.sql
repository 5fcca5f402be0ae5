-- What people call an account; empty for the first, which every data folder has.

ALTER TABLE accounts ADD COLUMN name TEXT;

CREATE UNIQUE INDEX accounts_name ON accounts (name);

CREATE INDEX devices_account ON devices (account);
