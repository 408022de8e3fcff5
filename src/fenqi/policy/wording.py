"""Words that may not stand in what the public is told about ways to pay.

They promise what nobody can promise, or lure: the rules for marketing financial products online (in force since
2026-09-30, article 10(7)) name them.
"""

from __future__ import annotations

from typing import Final

from fenqi.texts import Text

__all__ = ["BANNED_WORDS", "banned_words"]

BANNED_WORDS: Final = ("低风险", "低门槛", "秒到账", "高收益", "低利率", "无成本")


def banned_words(text: Text) -> tuple[str, ...]:
    """The banned words that a text contains.

    >>> banned_words(Text("低利率分期", "Instalments"))
    ('低利率',)
    """
    return tuple(word for word in BANNED_WORDS if word in text.zh_cn or word in text.en)
