// Makes every call of the compatible API that `twilio-cli` has, a process for each, and prints a line for each.
//
// Arguments: WAY (`proxy`) and the folder the program is installed in. Variables and lines as in calls.py.
"use strict";
const path = require("path");
const { spawnSync } = require("child_process");

const [, installed] = process.argv.slice(2);
const program = path.join(installed, "node_modules/twilio-cli/bin/run");
const { OV_SID, OV_TOKEN, OV_APP, OV_SPARE, OV_APPS } = process.env;
const PREFIX = "api:microvisor:v1:";

// Runs one command. The program writes JSON on standard output, errors on standard error.
function run(command, options, token = OV_TOKEN) {
  const env = { ...process.env, TWILIO_ACCOUNT_SID: OV_SID, TWILIO_AUTH_TOKEN: token };
  const words = [program, PREFIX + command, "-o", "json", ...options];
  const ended = spawnSync(process.execPath, words, { env, encoding: "utf8", timeout: 60000 });
  if (ended.status === 0) return ended.stdout.trim() ? JSON.parse(ended.stdout) : [];
  // An error is written as JSON too, with the number that the cloud answered.
  const code = /"code": (\d+),/.exec(ended.stdout + ended.stderr);
  if (code) return Number(code[1]);
  throw new Error(`status ${ended.status}: ${ended.stderr}${ended.stdout}`);
}

function expect(name, wanted, work) {
  try {
    const found = work();
    const same = found === wanted;
    console.log(same ? `ok ${name}` : `FAIL ${name}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error}`.replaceAll("\n", " "));
  }
}

// A property of the one item that a command answers; the code of an error as it is.
function property(name, command, options) {
  const found = run(command, options);
  return typeof found === "number" ? found : found[0][name];
}

function devices() {
  const d1 = ["--sid", "d1"];
  expect("devices list over 3 pages", 5, () => run("devices:list", ["--page-size", "2"]).length);
  expect("devices fetch by name", "d1", () => property("uniqueName", "devices:fetch", d1));
  const name = (from, to) => property("uniqueName", "devices:update", ["--sid", from, "--unique-name", to]);
  expect("devices update name", "d one", () => name("d1", "d one"));
  const [{ sid }] = run("devices:list", []).filter((device) => device.uniqueName === "d one");
  expect("devices update name back by sid", "d1", () => name(sid, "d1"));
  for (const [flag, on] of [["--logging-enabled", true], ["--no-logging-enabled", false]]) {
    expect(`devices update ${flag}`, on, () => property("logging", "devices:update", [...d1, flag]).enabled);
  }
  const target = ["--target-app", OV_APP];
  expect("devices update target", OV_APP, () => {
    const app = property("app", "devices:update", [...d1, ...target]);
    return app.targetSid ?? app.target_sid;
  });
  expect("devices fetch missing", 20404, () => run("devices:fetch", ["--sid", "absent"]));
}

function apps() {
  expect("apps list over pages", Number(OV_APPS), () => run("apps:list", ["--page-size", "1"]).length);
  expect("apps fetch", OV_APP, () => property("sid", "apps:fetch", ["--sid", OV_APP]));
  const hash = property("hash", "apps:fetch", ["--sid", OV_APP]);
  expect("apps manifest", hash, () => property("hash", "apps:manifest:fetch", ["--app-sid", OV_APP]));
  expect("apps remove", 0, () => run("apps:remove", ["--sid", OV_SPARE]).length);
  expect("apps fetch removed", 20404, () => run("apps:fetch", ["--sid", OV_SPARE]));
}

function items(command, device, isSecret) {
  const shown = isSecret ? ["--properties", "key"] : ["--properties", "key,value"];
  const key = [...device, "--key", "a key"];
  const value = (text) => ["--value", text];
  const text = "ä & +";
  const of = isSecret ? "key" : "value";
  const wanted = (value) => (isSecret ? "a key" : value);
  const label = command.replace(":", " ") + (device.length ? "" : " of the account");
  expect(`${label} create`, "a key", () => property("key", `${command}:create`, [...key, ...shown, ...value(text)]));
  expect(`${label} create again`, 20409, () => run(`${command}:create`, [...key, ...value("x")]));
  expect(`${label} list`, 1, () => run(`${command}:list`, [...device, ...shown]).length);
  expect(`${label} fetch`, wanted(text), () => property(of, `${command}:fetch`, [...key, ...shown]));
  expect(`${label} update`, wanted("two"), () => property(of, `${command}:update`, [...key, ...shown, ...value("two")]));
  expect(`${label} remove`, 0, () => run(`${command}:remove`, key).length);
  expect(`${label} fetch removed`, 20404, () => run(`${command}:fetch`, [...key, ...shown]));
}

devices();
apps();
const device = ["--device-sid", "d1"];
items("devices:configs", device, false);
items("devices:secrets", device, true);
items("configs", [], false);
items("secrets", [], true);
expect("wrong credentials", 20003, () => run("devices:list", [], "wrong"));
console.log("end");
