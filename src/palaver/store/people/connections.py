"""People who talk to each other, in the database: all of it in one place."""

from palaver.store.database import Database
from palaver.store.people.asking import AsksBot
from palaver.store.people.groups import GathersPeople
from palaver.store.people.reading import ReadsPeople
from palaver.store.people.saying import SaysToPeople
from palaver.store.prices import Prices
from palaver.store.texts import Texts


class SqlConnections(ReadsPeople, SaysToPeople, GathersPeople, AsksBot):
    def __init__(self, database: Database, texts: Texts, prices: Prices) -> None:
        ReadsPeople.__init__(self, database)
        SaysToPeople.__init__(self, database)
        GathersPeople.__init__(self, database, texts)
        AsksBot.__init__(self, database, texts, prices)
