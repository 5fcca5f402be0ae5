// Makes every call of the compatible API that this version of `twilio` for Node has, and prints a line for each.
//
// Arguments: WAY (`base-url` or `proxy`) and the folder the library is installed in. Variables and lines as in calls.py.
"use strict";
const path = require("path");

const [way, installed] = process.argv.slice(2);
const twilio = require(path.join(installed, "node_modules/twilio"));
const { OV_SID, OV_TOKEN, OV_URL, OV_APP, OV_SPARE, OV_APPS } = process.env;

function client(token) {
  const made = twilio(OV_SID, token);
  if (way === "base-url") made.microvisor.baseUrl = OV_URL;
  return made.microvisor.v1;
}

async function expect(name, wanted, work) {
  try {
    const found = await work();
    const same = JSON.stringify(found) === JSON.stringify(wanted);
    console.log(same ? `ok ${name}` : `FAIL ${name}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error}`.replaceAll("\n", " "));
  }
}

async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return [error.status, error.code];
  }
  return "no error";
}

const count = async (list, options) => (await list.list(options)).length;
const missing = [404, 20404];

async function devices(api) {
  const d1 = api.devices("d1");
  await expect("devices list over 3 pages", 5, () => count(api.devices, { pageSize: 2 }));
  await expect("devices list with a limit", 3, () => count(api.devices, { limit: 3, pageSize: 2 }));
  let sid = "";
  await expect("devices fetch by name", "UV", async () => (sid = (await d1.fetch()).sid).slice(0, 2));
  const named = async (id, uniqueName) => (await api.devices(id).update({ uniqueName })).uniqueName;
  await expect("devices fetch by sid", "d1", async () => (await api.devices(sid).fetch()).uniqueName);
  await expect("devices update name", "d one", () => named("d1", "d one"));
  await expect("devices update name back", "d1", () => named(sid, "d1"));
  for (const on of [true, false]) {
    const logging = async () => (await d1.update({ loggingEnabled: on })).logging.enabled;
    await expect(`devices update logging ${on}`, on, logging);
  }
  const target = async () => (await d1.update({ targetApp: OV_APP })).app.target_sid;
  await expect("devices update target", OV_APP, target);
  await expect("devices fetch missing", missing, () => refusal(() => api.devices("absent").fetch()));
}

async function apps(api) {
  const app = api.apps(OV_APP);
  const spare = api.apps(OV_SPARE);
  await expect("apps list over pages", Number(OV_APPS), () => count(api.apps, { pageSize: 1 }));
  await expect("apps fetch", OV_APP, async () => (await app.fetch()).sid);
  if (app.appManifests) {
    const { hash } = await app.fetch();
    await expect("apps manifest", hash, async () => (await app.appManifests().fetch()).hash);
  }
  await expect("apps remove", true, () => spare.remove());
  await expect("apps fetch removed", missing, () => refusal(() => spare.fetch()));
}

async function items(label, list, isSecret) {
  const shown = (item) => (isSecret ? item.key : item.value);
  const text = "ä & +";
  await expect(`${label} create`, "a key", async () => (await list.create({ key: "a key", value: text })).key);
  const again = () => refusal(() => list.create({ key: "a key", value: "x" }));
  await expect(`${label} create again`, [409, 20409], again);
  await list.create({ key: "b", value: "1" });
  await list.create({ key: "c", value: "1" });
  await expect(`${label} list over 3 pages`, 3, () => count(list, { pageSize: 1 }));
  const fetched = async () => shown(await list("a key").fetch());
  await expect(`${label} fetch`, isSecret ? "a key" : text, fetched);
  const updated = async () => shown(await list("a key").update({ value: "two" }));
  await expect(`${label} update`, isSecret ? "a key" : "two", updated);
  for (const key of ["a key", "b", "c"]) await expect(`${label} remove ${key}`, true, () => list(key).remove());
  await expect(`${label} fetch removed`, missing, () => refusal(() => list("a key").fetch()));
}

async function main() {
  const api = client(OV_TOKEN);
  await devices(api);
  await apps(api);
  const device = api.devices("d1");
  if (device.deviceConfigs) {
    await items("device configs", device.deviceConfigs, false);
    await items("device secrets", device.deviceSecrets, true);
    await items("account configs", api.accountConfigs, false);
    await items("account secrets", api.accountSecrets, true);
  }
  await expect("wrong credentials", [401, 20003], () => refusal(() => client("wrong").devices("d1").fetch()));
  console.log("end");
}

main();
