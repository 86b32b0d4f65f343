"""What passages are found by when words are looked for: FTS5 on SQLite, tsvector on PostgreSQL.

Both are given terms that are cut here, so that they find the same: the stem of a word behind the number of its
collection. So how rare a word is, and what looking for it costs, does not hang on what others keep.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.knowledge import CollectionId, PassageId
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.searched import Searched, left_out

# So many places are looked at for one search, and no more for one word: that takes some ten milliseconds.
MOST_HITS = 15_000

# A word that more than a fifth of the passages have says little; where these are few, it costs nothing to look.
COMMON = 5
FEW = 1000

MOST_TERMS = 16

# Frequent words of which is known how frequent they are.
MOST_KNOWN = 10_000

# Of the index on SQLite, each of 1000 bytes: some four milliseconds.
PAGES_AT_ONCE = 200

# PostgreSQL looks closer at so many of those whose words weigh most.
LOOKED_AT_CLOSELY = 200


class Words(Protocol):
    def to_entry(self, collection_id: CollectionId, stems: Sequence[str]) -> str:
        """A passage's words as they are kept."""
        ...

    async def add(self, tx: Transaction, passages: Sequence[tuple[PassageId, str]]) -> None: ...
    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None: ...
    async def purge(self, database: Database) -> None:
        """Takes what was removed out of the index itself, step by step."""
        ...

    async def rank(self, tx: Transaction, searched: Searched, stems: Sequence[str], limit: int) -> Sequence[PassageId]:
        """Those that have any of the words, best first; some that are not searched (yet, or any more), too."""
        ...


def choose(counts: Mapping[str, int], passages: int) -> list[str]:
    """The rarest words, as long as they are rare and not too many places are to be looked at; at least one of those
    that are there."""
    there = sorted((term for term, count in counts.items() if count), key=lambda term: counts[term])
    chosen = there[:1]
    hits = counts[chosen[0]] if chosen else 0
    for term in there[1:MOST_TERMS]:
        hits += counts[term]
        if hits > MOST_HITS or counts[term] > max(passages / COMMON, FEW):
            break
        chosen.append(term)
    return chosen


def rarity(count: int, passages: int) -> float:
    """What a word weighs that so many of the passages have."""
    return math.log(1 + (max(passages, count) - count + 0.5) / (count + 0.5))


def to_keys(collection_id: CollectionId, stems: Sequence[str]) -> list[str]:
    return [f"{collection_id}@{stem}" for stem in stems]


class SqliteWords:
    """FTS5 reckons how rare a word is among all that everybody keeps: its bm25 is brought back to the collection.

    It notes what is removed, and takes it out when parts of the index are merged. To do so at once, its option
    secure-delete, took 1.3 ms for a passage of 100 words; this takes 0.05, and 4 for each 1000 passages that are kept.
    """

    ADD = "INSERT INTO passage_words (rowid, words) VALUES ($1, $2)"
    REMOVE = "DELETE FROM passage_words WHERE rowid = $1"
    NOTE_REMOVED = (
        "INSERT INTO server (name, value) VALUES ('removed_words', '1') "
        "ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT)"
    )
    REMOVED = "SELECT value FROM server WHERE name = 'removed_words'"
    ALL_PURGED = "DELETE FROM server WHERE name = 'removed_words' AND value = $1"
    MERGE = "INSERT INTO passage_words (passage_words, rank) VALUES ('merge', $1)"
    CHANGES = "SELECT total_changes()"
    HIT = "SELECT 1 FROM passage_words WHERE passage_words MATCH $1"
    COUNT = f"SELECT COUNT(*) FROM ({{hits}} LIMIT {MOST_HITS + 1})"
    # Where FTS5 keeps what it has counted itself: how many entries it has comes first.
    TOTALS = "SELECT block FROM passage_words_data WHERE id = 1"
    WEIGHED = (
        "SELECT rowid AS id, ${weight} * bm25(passage_words) AS score FROM passage_words "
        "WHERE passage_words MATCH ${term}"
    )
    WEIGHED_HITS = f"SELECT * FROM ({{hits}} LIMIT {MOST_HITS})"
    # bm25 is the better the lower it is.
    RANKED = "SELECT id FROM ({hits}) GROUP BY id ORDER BY SUM(score), id LIMIT $1"

    def __init__(self) -> None:
        # Only frequent words take long to count: they are counted anew when the collection has changed. What is counted
        # while passages come or go is not kept: it would stand for what is there when all have.
        self._known: dict[tuple[str, int, Micros], int] = {}

    def to_entry(self, collection_id: CollectionId, stems: Sequence[str]) -> str:
        return " ".join(to_keys(collection_id, stems))

    async def add(self, tx: Transaction, passages: Sequence[tuple[PassageId, str]]) -> None:
        if passages:
            await tx.run_many(self.ADD, passages)

    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None:
        # No word of what was deleted stays in memory.
        self._known.clear()
        await tx.run_many(self.REMOVE, [(id_,) for id_ in passages])
        await tx.run(self.NOTE_REMOVED)

    async def purge(self, database: Database) -> None:
        removed = await database.read(lambda tx: tx.one(self.REMOVED))
        if removed is None:
            return
        # Below zero: all parts there are become one.
        await database.write(lambda tx: self._merge(tx, -PAGES_AT_ONCE))
        while await database.write(lambda tx: self._merge(tx, PAGES_AT_ONCE)):
            pass
        # Where more was removed meanwhile, it is done again.
        await database.write(lambda tx: tx.run(self.ALL_PURGED, removed[0]))

    async def _count(self, tx: Transaction, terms: Sequence[str], searched: Searched) -> Mapping[str, int]:
        changed = (searched.passages, searched.changed_at)
        counts = {term: self._known.get((term, *changed), 0) for term in terms}
        unknown = [term for term, count in counts.items() if not count]
        sql = self.COUNT.format(hits=_in_gaps(searched, self.HIT))
        found = await tx.all_many(sql, [(term,) for term in unknown])
        counts |= {term: row[0] for term, row in zip(unknown, found, strict=True)}
        if searched.is_settled:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            self._known |= {(term, *changed): count for term, count in counts.items() if count > FEW}
        return counts

    async def _count_all(self, tx: Transaction, terms: Sequence[str]) -> Mapping[str, int]:
        """As FTS5 counts: what is left out, too."""
        found = await tx.all_many(self.COUNT.format(hits=self.HIT), [(term,) for term in terms])
        return {term: row[0] for term, row in zip(terms, found, strict=True)}

    async def _merge(self, tx: Transaction, pages: int) -> bool:
        """Whether there was anything to do, told as FTS5 tells it."""
        before = await tx.one(self.CHANGES)
        await tx.run(self.MERGE, pages)
        after = await tx.one(self.CHANGES)
        assert before is not None
        assert after is not None
        return bool(after[0] - before[0] >= 2)

    async def rank(self, tx: Transaction, searched: Searched, stems: Sequence[str], limit: int) -> Sequence[PassageId]:
        # A term holds letters, digits and an @ alone, so none can be read as a command.
        counts = await self._count(tx, [f'"{key}"' for key in to_keys(searched.collection_id, stems)], searched)
        chosen = choose(counts, searched.passages)
        if not chosen:
            return []
        totals = await tx.one(self.TOTALS)
        assert totals is not None
        everywhere = _first_number(totals[0])
        counted = await self._count_all(tx, chosen) if searched.left_out else counts
        values: list[object] = [limit]
        hits = []
        for term in chosen:
            values += [rarity(counts[term], searched.passages) / _rarity_of_fts5(counted[term], everywhere), term]
            weighed = self.WEIGHED.format(weight=len(values) - 1, term=len(values))
            hits.append(self.WEIGHED_HITS.format(hits=_in_gaps(searched, weighed)))
        rows = await tx.all(self.RANKED.format(hits=" UNION ALL ".join(hits)), *values)
        return [PassageId(row[0]) for row in rows]


class PostgresWords:
    """Of all that have one of the words those are looked at whose words are rarest; of these it also counts how often
    each word stands in how long a passage. ts_rank alone does not know how rare a word is."""

    ADD = "INSERT INTO passage_words (rowid, words) VALUES ($1, CAST($2 AS TEXT)::tsvector)"
    REMOVE = "DELETE FROM passage_words WHERE rowid = $1"
    COUNT = (
        "SELECT COUNT(*) FROM (SELECT 1 FROM passage_words w WHERE w.words @@ CAST($1 AS TEXT)::tsquery{out} "
        f"LIMIT {MOST_HITS + 1}) AS hits"
    )
    RANKED = (
        "WITH terms AS (SELECT term::tsquery AS term, weight "
        "FROM unnest(CAST($2 AS TEXT[]), CAST($3 AS DOUBLE PRECISION[])) AS t (term, weight)), "
        "best AS MATERIALIZED (SELECT h.rowid, SUM(t.weight) AS score FROM terms t CROSS JOIN LATERAL "
        f"(SELECT w.rowid FROM passage_words w WHERE w.words @@ t.term{{out}} LIMIT {MOST_HITS}) AS h "
        f"GROUP BY h.rowid ORDER BY 2 DESC, 1 LIMIT greatest({LOOKED_AT_CLOSELY}, $1)) "
        "SELECT w.rowid FROM best b JOIN passage_words w ON w.rowid = b.rowid CROSS JOIN terms t "
        "GROUP BY w.rowid ORDER BY SUM(t.weight * ts_rank(w.words, t.term, 1)) DESC, w.rowid LIMIT $1"
    )
    # It would read the words of every passage, from where long values are kept, rather than ask the index.
    ASK_THE_INDEX = "SELECT set_config('enable_seqscan', 'off', TRUE)"

    def to_entry(self, collection_id: CollectionId, stems: Sequence[str]) -> str:
        keys = to_keys(collection_id, stems)
        return " ".join(f"'{key}':{place}" for place, key in enumerate(keys, 1))

    async def add(self, tx: Transaction, passages: Sequence[tuple[PassageId, str]]) -> None:
        if passages:
            await tx.run_many(self.ADD, passages)

    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None:
        await tx.run_many(self.REMOVE, [(id_,) for id_ in passages])

    async def purge(self, database: Database) -> None:
        """There is nothing to do: VACUUM, which PostgreSQL does by itself, gives the room of deleted rows back."""

    async def rank(self, tx: Transaction, searched: Searched, stems: Sequence[str], limit: int) -> Sequence[PassageId]:
        await tx.one(self.ASK_THE_INDEX)
        out = left_out(searched, "w.rowid")
        terms = [f"'{key}'" for key in to_keys(searched.collection_id, stems)]
        found = await tx.all_many(self.COUNT.format(out=out), [(term,) for term in terms])
        counts = {term: row[0] for term, row in zip(terms, found, strict=True)}
        chosen = choose(counts, searched.passages)
        if not chosen:
            return []
        weights = [rarity(counts[term], searched.passages) for term in chosen]
        return [PassageId(row[0]) for row in await tx.all(self.RANKED.format(out=out), limit, chosen, weights)]


def _in_gaps(searched: Searched, hits: str) -> str:
    """What stands in the index between the parts that are left out: FTS5 steps over these."""
    return " UNION ALL ".join(f"{hits} AND rowid BETWEEN {first} AND {last}" for first, last in searched.to_gaps())


def _first_number(block: bytes) -> int:
    """SQLite writes seven bits to a byte, the highest first; the eighth says that another one follows."""
    number = 0
    for byte in block:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return number


def _rarity_of_fts5(count: int, everywhere: int) -> float:
    return max(math.log((everywhere - count + 0.5) / (count + 0.5)), 1e-6)
