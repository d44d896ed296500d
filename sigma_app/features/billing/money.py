"""Amounts of money in words."""

from __future__ import annotations

_WITHOUT_CENTS = {
    *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
    *("pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"),
}  # https://docs.stripe.com/currencies#zero-decimal; UGX has none either, but Stripe counts it in hundredths
_THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}


def words(amount: int, currency: str) -> str:
    """An amount in the smallest unit of its currency, as people write it.

    >>> words(2900, "usd"), words(123456, "eur"), words(500, "jpy"), words(-150, "chf"), words(12005, "kwd")
    ('$29.00', '€1,234.56', '500 JPY', '-1.50 CHF', '12.005 KWD')
    >>> words(9007199254740993, "usd")
    '$90,071,992,547,409.93'
    """
    currency = currency.lower()
    decimals = 0 if currency in _WITHOUT_CENTS else 3 if currency in _THREE_DECIMALS else 2
    whole, rest = divmod(abs(amount), 10**decimals)  # in whole numbers: a float knows no large amount to the cent
    number = f"{whole:,}" + (f".{rest:0{decimals}}" if decimals else "")
    minus = "-" if amount < 0 else ""
    return f"{minus}{_SIGNS[currency]}{number}" if currency in _SIGNS else f"{minus}{number} {currency.upper()}"


def recurring(amount: int, currency: str, every: str | None, count: int = 1) -> str:
    """A price in words.

    >>> recurring(2900, "usd", "month"), recurring(5000, "usd", "month", 3), recurring(690, "usd", None)
    ('$29.00 a month', '$50.00 every 3 months', '$6.90 once')
    """
    if every is None:
        return f"{words(amount, currency)} once"
    return f"{words(amount, currency)} {f'a {every}' if count == 1 else f'every {count} {every}s'}"
