-- The management API: its credentials, applications, labels of devices, and the record of changes.

-- SHA-256 of the account's auth token; empty before the first was made.
ALTER TABLE accounts ADD COLUMN token BLOB;
ALTER TABLE accounts ADD COLUMN token_created BIGINT;

-- `secret` is the SHA-256 of the key's secret, which is stored nowhere. `devices`: how many devices a provisioning key
-- may still enrol; empty for other keys.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT,
    role TEXT NOT NULL,
    secret BLOB NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    used BIGINT,
    devices BIGINT
);

CREATE INDEX api_keys_account ON api_keys (account, created, id);

-- `hash` is the SHA-256 of `manifest`; `image` that of the internal flash's layer, which devices report.
CREATE TABLE apps (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT,
    hash BLOB NOT NULL,
    image BLOB NOT NULL,
    manifest BLOB NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    UNIQUE (account, name),
    UNIQUE (account, hash)
);

CREATE INDEX apps_account ON apps (account, created, id);
CREATE INDEX apps_image ON apps (account, image);

-- A layer is stored once, however many applications have it.
CREATE TABLE layers (
    hash BLOB PRIMARY KEY NOT NULL,
    content BLOB NOT NULL
);

CREATE TABLE app_layers (
    app TEXT NOT NULL REFERENCES apps (id),
    position BIGINT NOT NULL,
    layer BLOB NOT NULL REFERENCES layers (hash),
    PRIMARY KEY (app, position)
);

CREATE INDEX app_layers_layer ON app_layers (layer);

-- The application the device is to run, and since when.
ALTER TABLE devices ADD COLUMN target TEXT;
ALTER TABLE devices ADD COLUMN targeted BIGINT;

CREATE INDEX devices_target ON devices (target) WHERE target IS NOT NULL;
CREATE INDEX devices_created ON devices (account, created, id);

CREATE TABLE labels (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (device, name)
);

CREATE INDEX labels_value ON labels (name, value);

-- Who changed what, when and from where; never a value.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL
);

CREATE INDEX audit_account ON audit (account, number);
