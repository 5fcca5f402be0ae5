-- Columns are TEXT, BIGINT or BYTEA only, and times are milliseconds since 1970: what every database behind the one driver agrees on.
-- Texts are compared byte by byte, as SQLite does.

CREATE TABLE settings (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    value BYTEA NOT NULL
);

CREATE TABLE accounts (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    created BIGINT NOT NULL
);

-- `connected` is 1 while the running cloud serves the device; it says so within a second or so.
CREATE TABLE devices (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C",
    fingerprint BYTEA NOT NULL,
    logging BIGINT NOT NULL,
    logging_expires BIGINT,
    image BYTEA,
    seen BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    connected BIGINT NOT NULL DEFAULT 0,
    revoked BIGINT,
    UNIQUE (account, name)
);

CREATE INDEX devices_connected ON devices (id) WHERE connected = 1;

-- `device` is empty for an item of the whole account.
CREATE TABLE configs (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    device TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, device, key)
);

-- `value` is sealed with a key that is not in the database.
CREATE TABLE secrets (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    device TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (account, device, key)
);

-- A line sent again after a lost link has the same boot and sequence, and is kept once.
CREATE TABLE logs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device TEXT COLLATE "C" NOT NULL,
    boot BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    clock BIGINT NOT NULL,
    received BIGINT NOT NULL,
    text BYTEA NOT NULL,
    UNIQUE (device, boot, sequence)
);

CREATE INDEX logs_received ON logs (received);
CREATE INDEX logs_device ON logs (device, number);
