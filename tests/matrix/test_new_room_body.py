"""What the bot asks of the homeserver when it makes a room."""

from bot.adapters.matrix.rooms import new_room_body
from bot.domain.ids import UserId
from bot.services.ports import NewRoom


def test_the_creator_stands_in_the_power_levels_only_where_the_version_wants_it() -> None:
    """Version 12 refuses a creator in the levels; a version that is no number is taken for a new one."""
    room, bot = NewRoom(nonce="n", name="C"), UserId("@bot:x")
    users = {
        version: new_room_body(room, user_id=bot, version=version)["power_level_content_override"]["users"]
        for version in ("10", "11", "12", "org.example.next")
    }

    assert users == {"10": {bot: 100}, "11": {bot: 100}, "12": {}, "org.example.next": {}}
