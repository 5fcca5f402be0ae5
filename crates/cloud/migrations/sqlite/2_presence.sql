-- What other processes on the data folder see of a running cloud, and tell it.

-- 1 while the running cloud serves the device; it says so within a second or so.
ALTER TABLE devices ADD COLUMN connected BIGINT NOT NULL DEFAULT 0;

-- When the device's certificate was taken from it; empty while it has one.
ALTER TABLE devices ADD COLUMN revoked BIGINT;

CREATE INDEX devices_connected ON devices (id) WHERE connected = 1;
