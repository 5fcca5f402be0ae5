-- The management API: its credentials, applications, labels of devices, and the record of changes.

-- SHA-256 of the account's auth token; empty before the first was made.
ALTER TABLE accounts ADD COLUMN token BYTEA;
ALTER TABLE accounts ADD COLUMN token_created BIGINT;

-- `secret` is the SHA-256 of the key's secret, which is stored nowhere. `devices`: how many devices a provisioning key
-- may still enrol; empty for other keys.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C",
    role TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    used BIGINT,
    devices BIGINT
);

CREATE INDEX api_keys_account ON api_keys (account, created, id);

-- `hash` is the SHA-256 of `manifest`; `image` that of the internal flash's layer, which devices report.
CREATE TABLE apps (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C",
    hash BYTEA NOT NULL,
    image BYTEA NOT NULL,
    manifest BYTEA NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    UNIQUE (account, name),
    UNIQUE (account, hash)
);

CREATE INDEX apps_account ON apps (account, created, id);
CREATE INDEX apps_image ON apps (account, image);

-- A layer is stored once, however many applications have it.
CREATE TABLE layers (
    hash BYTEA PRIMARY KEY NOT NULL,
    content BYTEA NOT NULL
);

CREATE TABLE app_layers (
    app TEXT COLLATE "C" NOT NULL REFERENCES apps (id),
    position BIGINT NOT NULL,
    layer BYTEA NOT NULL REFERENCES layers (hash),
    PRIMARY KEY (app, position)
);

CREATE INDEX app_layers_layer ON app_layers (layer);

-- The application the device is to run, and since when.
ALTER TABLE devices ADD COLUMN target TEXT COLLATE "C";
ALTER TABLE devices ADD COLUMN targeted BIGINT;

CREATE INDEX devices_target ON devices (target) WHERE target IS NOT NULL;
CREATE INDEX devices_created ON devices (account, created, id);

CREATE TABLE labels (
    device TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device, name)
);

CREATE INDEX labels_value ON labels (name, value);

-- Who changed what, when and from where; never a value.
CREATE TABLE audit (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL
);

CREATE INDEX audit_account ON audit (account, number);
