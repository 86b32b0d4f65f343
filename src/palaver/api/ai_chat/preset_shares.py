"""With whom a preset is shared. It is ours, in ai_chat's style; who sees the preset uses it over any API."""

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.presets import preset_id
from palaver.api.call import Call
from palaver.api.fields import Body, Listed, Text, required
from palaver.chat.presets import access_own_preset, share_preset

api = new_api()

MOST_PEOPLE = 100

# As long as an e-mail address, which is the name of who registered by one.
USER_NAME = Text(at_least=1, at_most=254, trimmed=True)


class SharedWith(Body):
    usernames = required(Listed(USER_NAME, at_most=MOST_PEOPLE))


class Shares(Struct):
    usernames: list[str]


# A guest is nobody whom people know: it has nobody to share with.
@api.add("GET", f"{PREFIX}/presets/{{id}}/shares/", who="signed_in", answer=Shares)
async def list_shares(call: Call) -> Shares:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    return Shares(list(await call.chat.store.presets.shared_with(preset.id)))


@api.add("PUT", f"{PREFIX}/presets/{{id}}/shares/", who="signed_in", body=SharedWith, answer=Shares)
async def put_shares(call: Call) -> Shares:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    return Shares(list(await share_preset(call.chat, preset, call.read(SharedWith).usernames)))
