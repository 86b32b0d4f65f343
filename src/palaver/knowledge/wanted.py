"""What of a question is looked for.

A question is mostly made of words that stand in every passage. One database weighs words by how rare they are, the
other does not, and both take their time for frequent ones: so these are left out, where anything else is left.
"""

from collections.abc import Sequence

from palaver.chat.words import to_words

# As many as a long question has that are not among the frequent ones.
MOST_WORDS = 24

# A follow-up is understood by so many of the prompts before it.
PROMPTS_BEFORE = 2

# Of a question, and of each prompt before it: further on somebody pastes what they talk about.
LOOKED_AT = 2_000

# Folded as `to_words` folds.
_ENGLISH = """
a about all also am an and any are as at be been but by can could did do does for from get had has have he her his how i
if in into is it its may me might my no not of on one or our out please she should so some tell that the their them then
there these they this those to us was we were what when where which who whom whose why will with would you your
"""
_GERMAN = """
aber als am an auch auf aus bei bin bis bitte da damit dann das dass dem den der des die dies diese dieser dieses doch
du durch ein eine einem einen einer eines er es fur gibt hat hatte ich ihr im in ist ja kann kein keine konnen man mein
mich mir mit muss nach nicht noch nur oder ob sich sie sind so soll sollte uber um und uns unser unter vom von vor war
warum was welche welcher welches wenn wer werden wie wieso wir wird wo zu zum zur
"""
_ITALIAN = """
ad agli ai al alla alle anche che chi ci come con cosa cui da dai dal dalla dalle dei del della delle dello di dove e ed
era gli ha hanno ho i il io la le lei lo loro lui ma mi mio ne nel nella nelle noi non o per perche piu puo qual quale
quali quando quanto quella quello questa queste questi questo se si sono su sua sue sul sulla suo tra tu tuo un una uno
vi voi
"""
FREQUENT = frozenset(f"{_ENGLISH} {_GERMAN} {_ITALIAN}".split())


def to_wanted_words(text: str) -> list[str]:
    """The words that a passage about this is likely to hold some of, in order."""
    return (to_rare_words(text) or to_words(_looked_at(text)))[:MOST_WORDS]


def to_rare_words(text: str) -> list[str]:
    """Those that do not stand everywhere."""
    return [word for word in to_words(_looked_at(text)) if word not in FREQUENT]


def in_context(question: str, context: Sequence[str]) -> str:
    """The question behind what the person asked before, newest last; of all of them, the last few."""
    return "\n".join(said[:LOOKED_AT] for said in [*context[-PROMPTS_BEFORE:], question])


def _looked_at(text: str) -> str:
    return text[: LOOKED_AT * (1 + PROMPTS_BEFORE)]
