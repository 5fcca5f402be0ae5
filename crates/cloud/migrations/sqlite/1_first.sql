-- Columns are TEXT, BIGINT or BLOB only, and times are milliseconds since 1970: what every database behind the one driver agrees on.

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE devices (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT,
    fingerprint BLOB NOT NULL,
    logging BIGINT NOT NULL,
    logging_expires BIGINT,
    image BLOB,
    seen BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    UNIQUE (account, name)
);

-- `device` is empty for an item of the whole account.
CREATE TABLE configs (
    account TEXT NOT NULL REFERENCES accounts (id),
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, device, key)
);

-- `value` is sealed with a key that is not in the database.
CREATE TABLE secrets (
    account TEXT NOT NULL REFERENCES accounts (id),
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, device, key)
);

-- A line sent again after a lost link has the same boot and sequence, and is kept once.
CREATE TABLE logs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    boot BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    clock BIGINT NOT NULL,
    received BIGINT NOT NULL,
    text BLOB NOT NULL,
    UNIQUE (device, boot, sequence)
);

CREATE INDEX logs_received ON logs (received);
CREATE INDEX logs_device ON logs (device, number);
