"""For admins: what is on its way to people who are away, what has arrived, and what was given up. It holds no text."""

from datetime import datetime

from msgspec import Struct

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Choice, NoFields, Whole, defaulting, optional
from palaver.api.operation import Api, Style
from palaver.chat.errors import NotFound
from palaver.chat.ports import ChannelKind, NoticeKind
from palaver.chat.ports.outbox import Delivery, OutboxId, State
from palaver.chat.user import UserKind

api = Api("admin", Style.FASTAPI)

STATE: Choice[State] = Choice("waiting", "dead", "sent", "not_needed")


class DeliveriesWanted(Body):
    """`before`: the id of the last one of the page before."""

    state = defaulting(STATE, "dead")
    limit = defaulting(Whole(1, 200), 50)
    before = optional(Whole(1))


class DeliveryShown(Struct):
    """`channel` and `host` are null where nobody has looked yet by what ways the person is reached. `problem`: why the
    last try failed, or why it was given up or is not needed. `due_at`: when it is tried next, of one that waits."""

    id: int
    state: State
    kind: NoticeKind
    channel: ChannelKind | None
    host: str | None
    user_id: str
    user_name: str
    user_kind: UserKind
    conversation: str | None
    attempts: int
    failures: int
    problem: str | None
    sending: bool
    created_at: datetime
    due_at: datetime
    done_at: datetime | None


class DeliveryPage(Struct):
    """Newest first. `waiting` and `dead`: how many there are in all."""

    deliveries: list[DeliveryShown]
    has_more: bool
    waiting: int
    dead: int


@api.add(
    "GET",
    "/api/admin/deliveries",
    who="admin",
    query=DeliveriesWanted,
    answer=DeliveryPage,
    summary="List what is sent to people who are away",
)
async def list_deliveries(call: Call) -> DeliveryPage:
    wanted = call.read_query(DeliveriesWanted)
    before = None if wanted.before is None else OutboxId(wanted.before)
    found = await call.site.reaching.deliveries(wanted.state, limit=wanted.limit, before=before)
    return DeliveryPage(
        [_shown(row) for row in found.rows], found.has_more, found.counts["waiting"], found.counts["dead"]
    )


@api.add(
    "POST",
    "/api/admin/deliveries/{id}/resend",
    who="admin",
    body=NoFields,
    status=204,
    raises=(NotFound,),
    summary="Try one anew that was given up",
)
async def resend_delivery(call: Call) -> Answer:
    await call.site.reaching.resend(OutboxId(call.number("id")))
    return Answer()


def _shown(row: Delivery) -> DeliveryShown:
    return DeliveryShown(
        row.id, row.state, row.kind, row.channel, row.host, row.user_id, row.user_name, row.user_kind,
        row.conversation, row.attempts, row.failures, row.problem, row.sending, to_time(row.created_at),
        to_time(row.due_at), None if row.done_at is None else to_time(row.done_at),
    )  # fmt: skip
