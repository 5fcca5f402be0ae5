"""Makes every call of the compatible API that this version of `twilio` has, and prints a line for each.

`cargo xtask clients` starts it with the arguments WAY (`base-url`, `proxy`, `async`) and the variables OV_URL, OV_SID,
OV_TOKEN, OV_APP (an application to target), OV_SPARE (one
to remove) and OV_APPS (how many there are). The lines are `ok NAME` or `FAIL NAME: WHY`,
and `end` when everything was tried.
"""

import asyncio
import inspect
import os
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

WAY = sys.argv[1]
DEVICES = 5


def client():
    sid, token = os.environ["OV_SID"], os.environ["OV_TOKEN"]
    if WAY == "async":
        from twilio.http.async_http_client import AsyncTwilioHttpClient

        made = Client(sid, token, http_client=AsyncTwilioHttpClient())
    else:
        made = Client(sid, token)
    if WAY != "proxy":
        made.microvisor.base_url = os.environ["OV_URL"]
    return made


class Calls:
    """Calls the methods of a resource, their `_async` forms where that is the way."""

    def __init__(self, api):
        self.api = api

    async def call(self, resource, method, *arguments, **named):
        if WAY == "async":
            method += "_async"
        result = getattr(resource, method)(*arguments, **named)
        return await result if inspect.isawaitable(result) else result

    async def expect(self, name, wanted, work):
        try:
            found = await work
            print(f"ok {name}" if found == wanted else f"FAIL {name}: {found!r} instead of {wanted!r}", flush=True)
        except Exception as error:  # Whatever a client raises is the result.
            print(f"FAIL {name}: {type(error).__name__}: {error}".replace("\n", " "), flush=True)

    async def value(self, resource, method, attribute, *arguments, **named):
        return getattr(await self.call(resource, method, *arguments, **named), attribute)

    async def refusal(self, resource, method, *arguments, **named):
        try:
            await self.call(resource, method, *arguments, **named)
        except TwilioRestException as error:
            return error.status, error.code
        return "no exception"

    async def count(self, resource, **named):
        return len(await self.call(resource, "list", **named))

    async def devices(self):
        devices, kitchen = self.api.devices, self.api.devices("d1")
        await self.expect("devices list over 3 pages", DEVICES, self.count(devices, page_size=2))
        await self.expect("devices list with a limit", 3, self.count(devices, limit=3, page_size=2))
        sid = await self.value(kitchen, "fetch", "sid")
        await self.expect("devices fetch by name", "UV", self.prefix(sid))
        await self.expect("devices fetch by sid", "d1", self.value(self.api.devices(sid), "fetch", "unique_name"))
        await self.expect("devices update name", "d one", self.value(kitchen, "update", "unique_name", unique_name="d one"))
        back = self.api.devices(sid)
        await self.expect("devices update name back", "d1", self.value(back, "update", "unique_name", unique_name="d1"))
        for enabled in (True, False):
            wanted = self.value(kitchen, "update", "logging", logging_enabled=enabled)
            await self.expect(f"devices update logging {enabled}", enabled, self.item(wanted, "enabled"))
        app = os.environ["OV_APP"]
        target = self.value(kitchen, "update", "app", target_app=app)
        await self.expect("devices update target", app, self.item(target, "target_sid"))
        await self.expect("devices fetch missing", (404, 20404), self.refusal(self.api.devices("absent"), "fetch"))

    async def prefix(self, sid):
        return sid[:2]

    async def item(self, work, name):
        return (await work)[name]

    async def apps(self):
        app, spare = self.api.apps(os.environ["OV_APP"]), self.api.apps(os.environ["OV_SPARE"])
        await self.expect("apps list over pages", int(os.environ["OV_APPS"]), self.count(self.api.apps, page_size=1))
        await self.expect("apps fetch", os.environ["OV_APP"], self.value(app, "fetch", "sid"))
        app_hash = await self.value(app, "fetch", "hash")
        manifests = app.app_manifests() if callable(app.app_manifests) else app.app_manifests
        await self.expect("apps manifest", app_hash, self.value(manifests, "fetch", "hash"))
        await self.expect("apps remove", True, self.call(spare, "delete"))
        await self.expect("apps fetch removed", (404, 20404), self.refusal(spare, "fetch"))

    async def items(self, label, values, one, is_secret):
        await self.expect(f"{label} create", "a key", self.value(values, "create", "key", key="a key", value="ä & +"))
        again = self.refusal(values, "create", key="a key", value="x")
        await self.expect(f"{label} create again", (409, 20409), again)
        await self.call(values, "create", key="b", value="1")
        await self.call(values, "create", key="c", value="1")
        await self.expect(f"{label} list over 3 pages", 3, self.count(values, page_size=1))
        shown = "key" if is_secret else "value"
        await self.expect(f"{label} fetch", "a key" if is_secret else "ä & +", self.value(one("a key"), "fetch", shown))
        wanted = "a key" if is_secret else "two"
        await self.expect(f"{label} update", wanted, self.value(one("a key"), "update", shown, value="two"))
        for key in ("a key", "b", "c"):
            await self.expect(f"{label} remove {key}", True, self.call(one(key), "delete"))
        await self.expect(f"{label} fetch removed", (404, 20404), self.refusal(one("a key"), "fetch"))

    async def all(self):
        await self.devices()
        await self.apps()
        device, api = self.api.devices("d1"), self.api
        await self.items("device configs", device.device_configs, device.device_configs, False)
        await self.items("device secrets", device.device_secrets, device.device_secrets, True)
        await self.items("account configs", api.account_configs, api.account_configs, False)
        await self.items("account secrets", api.account_secrets, api.account_secrets, True)
        wrong = Client(os.environ["OV_SID"], "wrong", http_client=self.http)
        if WAY != "proxy":
            wrong.microvisor.base_url = os.environ["OV_URL"]
        device = wrong.microvisor.v1.devices("d1")
        await self.expect("wrong credentials", (401, 20003), self.refusal(device, "fetch"))


async def main():
    made = client()
    calls = Calls(made.microvisor.v1)
    calls.http = made.http_client
    await calls.all()
    if WAY == "async":
        await made.http_client.close()
    print("end")


asyncio.run(main())
