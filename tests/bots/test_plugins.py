"""Bots that people install, as real packages on the path."""

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from palaver.bots.plugins import Plugins, to_prompt_text
from palaver.chat.conversation import Past, Speaking
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Bot, Finished, Prompt, Reasoning, Text

from .asking import REQUEST_ID, hear, talking, to_prompt

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package with one module, whose class `Bot` is a bot by the package's name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, source: str, *, package: str | None = None, bot: str = "Bot") -> None:
        module = f"installed_{package or name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(dedent(source))
        told = tmp_path / f"{module}-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text(f"[palaver.bots]\n{name} = {module}:{bot}\n")

    return install


def module_of(name: str) -> ModuleType:
    return sys.modules[f"installed_{name}"]


def bot_of(name: str) -> Bot:
    return Plugins(taken=()).bot(name)


def wait_for(event: threading.Event) -> None:
    assert event.wait(60)


KINDS = {
    "a function that gives the pair": """
        class Bot:
            def talk(self, prompt):
                return prompt.title(), {"heard": prompt}
    """,
    "a function that gives text": """
        class Bot:
            def talk(self, prompt):
                return prompt.title()
    """,
    "an async function": """
        class Bot:
            async def talk(self, prompt):
                return prompt.title(), {"heard": prompt}
    """,
    "a generator": """
        class Bot:
            def talk(self, prompt):
                for letter in prompt.title():
                    yield letter
    """,
    "a generator that ends in the pair": """
        class Bot:
            def talk(self, prompt):
                yield prompt.title()[:3]
                yield prompt.title()[3:]
                yield prompt.title(), {"heard": prompt}
    """,
    "a generator whose pair says the rest": """
        class Bot:
            def talk(self, prompt):
                yield prompt.title()[:3]
                yield prompt.title(), {"heard": prompt}
    """,
    "an async generator": """
        class Bot:
            async def talk(self, prompt):
                yield prompt.title()[:3]
                yield prompt.title()[3:]
    """,
    "a function around an async one": """
        class Bot:
            def talk(self, prompt):
                return self.later(prompt)

            async def later(self, prompt):
                return prompt.title()
    """,
    "a function around an async generator": """
        class Bot:
            def talk(self, prompt):
                return self.later(prompt)

            async def later(self, prompt):
                yield prompt.title()
    """,
    "pieces of the core": """
        from palaver.chat.pieces import Finished, Text

        class Bot:
            async def talk(self, prompt):
                yield Text(prompt.title())
                yield Finished(reason="length")
    """,
}


@pytest.mark.parametrize("source", KINDS.values(), ids=KINDS.keys())
async def test_bot_may_be(install: Install, source: str) -> None:
    install("titled", source)
    heard = await hear(bot_of("titled"), "hello there")
    assert heard.text == "Hello There"
    assert heard.finished is not None
    assert heard.error is None


async def test_pieces_come_as_they_are_said(install: Install) -> None:
    install("counting", "class Bot:\n    def talk(self, prompt):\n        yield from ('one ', 'two ', 'three')\n")
    assert (await hear(bot_of("counting"), "count")).texts == ["one ", "two ", "three"]


async def test_long_reply_is_heard_whole(install: Install) -> None:
    install("long", "class Bot:\n    def talk(self, prompt):\n        yield from map(str, range(1000))\n")
    assert (await hear(bot_of("long"), "count")).text == "".join(map(str, range(1000)))


async def test_dict_is_kept_as_plain_values(install: Install) -> None:
    install(
        "dated",
        """
        from datetime import date
        from pathlib import PurePosixPath

        class Bot:
            def talk(self, prompt):
                return "x", {"heard": prompt, "day": date(2026, 3, 2), "path": PurePosixPath("/a"), "n": [1, None]}
        """,
    )
    heard = await hear(bot_of("dated"), "hello")
    details = {"heard": "hello", "day": "2026-03-02", "path": "/a", "n": [1, None]}
    assert heard.finished == Finished(details=details)


async def test_pair_that_says_something_else_changes_nothing(
    install: Install, warnings: pytest.LogCaptureFixture
) -> None:
    install("fickle", "class Bot:\n    def talk(self, prompt):\n        yield 'yes'\n        yield 'no', {'a': 1}\n")
    heard = await hear(bot_of("fickle"), "really?")
    assert heard.text == "yes"
    assert heard.finished == Finished(details={"a": 1})
    assert len(warnings.records) == 1


async def test_thoughts_and_strange_text_are_made_fit(install: Install) -> None:
    install(
        "strange",
        r"""
        from palaver.chat.pieces import Reasoning, Text

        class Bot:
            async def talk(self, prompt):
                yield Reasoning("hm\0")
                yield Text("half \ud83d")
                yield prompt
        """,
    )
    heard = await hear(bot_of("strange"), "hello")
    assert heard.pieces == [Reasoning("hm\ufffd"), Text("half \ufffd"), Text("hello"), Finished()]
    assert type(heard.texts[-1]) is str


def test_prompt_is_its_text_and_carries_the_rest() -> None:
    past = (Past(1, "user", "Name a river.", 4),)
    speaking = Speaking(temperature=0.5)
    text = to_prompt_text(Prompt("Another?", "You know rivers.", past, speaking, "gpt-4", REQUEST_ID))
    assert text == "Another?"
    assert (text.system, text.history, text.speaking) == ("You know rivers.", past, speaking)
    assert (text.model, text.request_id) == ("gpt-4", REQUEST_ID)


FAILURES = {
    "a throw": "class Bot:\n    def talk(self, prompt):\n        raise KeyError('VENDORSECRET')\n",
    "an async throw": "class Bot:\n    async def talk(self, prompt):\n        raise KeyError('VENDORSECRET')\n",
    "an exit": "class Bot:\n    def talk(self, prompt):\n        raise SystemExit('VENDORSECRET')\n",
    "an import that fails": "import no_such_thing_VENDORSECRET\n",
    "no such class": "VENDORSECRET = 1\nBot = None\n",
    "a class that cannot be made": "class Bot:\n    def __init__(self, VENDORSECRET):\n        pass\n",
    "nothing to say": "class Bot:\n    def talk(self, prompt):\n        return None  # VENDORSECRET\n",
    "a dict that cannot be kept": "class Bot:\n    def talk(self, _):\n        return '', {'VENDORSECRET': '\\ud83d'}",
}


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES.keys())
async def test_failure_ends_the_reply_alone(install: Install, warnings: pytest.LogCaptureFixture, source: str) -> None:
    install("broken", source)
    heard = await hear(bot_of("broken"), "hello")
    assert heard.error is not None
    assert heard.error.cause == "unavailable"
    assert "VENDORSECRET" not in repr(heard.error)
    assert heard.finished is None
    [record] = warnings.records
    assert record.__dict__["request_id"] == REQUEST_ID
    assert record.exc_info is not None


async def test_what_was_said_before_a_failure_is_heard(install: Install) -> None:
    install("half", "class Bot:\n    def talk(self, prompt):\n        yield 'one '\n        raise KeyError\n")
    heard = await hear(bot_of("half"), "count")
    assert heard.text == "one "
    assert heard.error is not None


BLOCKING = """
    import threading

    entered, release, closed = threading.Event(), threading.Event(), threading.Event()

    class Bot:
        def talk(self, prompt):
            try:
                yield "one "
                entered.set()
                release.wait(60)
                yield "two"
            finally:
                closed.set()
"""


async def test_blocking_bot_holds_up_nobody_else(install: Install) -> None:
    install("blocking", BLOCKING)
    async with talking(bot_of("blocking"), "count") as pieces:
        assert await anext(pieces) == Text("one ")
        module = module_of("blocking")
        await asyncio.to_thread(wait_for, module.entered)
        second = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        assert not second.done()
        module.release.set()
        assert await second == Text("two")


async def test_generator_that_is_left_is_closed_and_not_waited_for(install: Install) -> None:
    install("blocking", BLOCKING)
    async with talking(bot_of("blocking"), "count") as pieces:
        assert await anext(pieces) == Text("one ")
        module = module_of("blocking")
        await asyncio.to_thread(wait_for, module.entered)
    assert not module.closed.is_set()
    module.release.set()
    await asyncio.to_thread(wait_for, module.closed)


async def test_async_generator_that_is_left_is_closed(install: Install) -> None:
    install(
        "open_ended",
        """
        closed = []

        class Bot:
            async def talk(self, prompt):
                try:
                    while True:
                        yield "on and "
                finally:
                    closed.append(True)
        """,
    )
    async with talking(bot_of("open_ended"), "count") as pieces:
        assert await anext(pieces) == Text("on and ")
    assert module_of("open_ended").closed == [True]


async def test_endless_generator_waits_for_who_listens(install: Install) -> None:
    install(
        "endless",
        """
        import threading

        said, far_ahead = [], threading.Event()

        class Bot:
            def talk(self, prompt):
                while True:
                    said.append(1)
                    if len(said) == 60:
                        far_ahead.set()
                    yield "on and "
        """,
    )
    async with talking(bot_of("endless"), "count") as pieces:
        for _ in range(10):
            await anext(pieces)
        await asyncio.to_thread(wait_for, module_of("endless").far_ahead)
        assert len(module_of("endless").said) < 100


async def test_bot_is_made_once_however_many_ask_at_once(install: Install) -> None:
    install(
        "once",
        """
        made = []

        class Bot:
            def __init__(self):
                made.append(self)

            def talk(self, prompt):
                return "x"
        """,
    )
    bot = bot_of("once")
    await asyncio.gather(*(hear(bot, "hello") for _ in range(8)))
    assert len(module_of("once").made) == 1


def test_bot_is_known_before_it_is_loaded(install: Install) -> None:
    install("lazy", "import no_such_thing\n")
    plugins = Plugins(taken=())
    assert plugins.known("lazy")
    assert "lazy" in plugins.names()
    assert not plugins.known("other")
    assert "installed_lazy" not in sys.modules


def test_bot_that_is_not_installed_is_unavailable() -> None:
    with pytest.raises(BotUnavailable):
        Plugins(taken=()).bot("other")


def test_taken_name_stays_with_whom_it_belongs_to(install: Install, warnings: pytest.LogCaptureFixture) -> None:
    install("dummy", "class Bot: ...\n")
    install("twice", "class Bot: ...\n", package="first")
    install("twice", "class Bot: ...\n", package="second")
    plugins = Plugins(taken=("dummy",))
    assert not plugins.known("dummy")
    assert plugins.known("twice")
    assert len(warnings.records) == 2


async def test_object_with_a_talk_is_a_bot_as_well(install: Install) -> None:
    install("made", "class Kind:\n    def talk(self, prompt):\n        return 'x'\n\nbot = Kind()\n", bot="bot")
    assert (await hear(bot_of("made"), to_prompt("hello"))).text == "x"
