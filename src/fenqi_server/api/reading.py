"""Reading a request's body: once, strictly, and within limits.

Unknown fields, wrong types, fractions where whole fen belong and anything too large are refused, each with the JSON
pointer of the field. A number that could be a payment card's is refused wherever it stands and however it is written,
and is neither echoed nor logged: this service must never hold one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, Final, TypeVar

import msgspec

from fenqi_server.api.problems import ApiProblem, FieldError

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_SHOWN",
    "check_text",
    "looks_like_card",
    "read_body",
    "refused",
    "too_large",
    "without_cards",
]

MAX_BODY_BYTES: Final = 64_000
MAX_SHOWN: Final = 120

_T = TypeVar("_T")

_DIGITS: Final = re.compile(rb"(?<![0-9A-Za-z.])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])")
_DIGITS_TEXT: Final = re.compile(_DIGITS.pattern.decode())
_WIDE_DIGITS: Final = {ord("０") + digit: str(digit) for digit in range(10)}
# JSON may write any character as an escape, and a Chinese keyboard writes wide digits: then only the decoded text shows
# a card's number. U+0000 is an escape that PostgreSQL stores nowhere.
_DISGUISED: Final = re.compile(rb"\\u(?:00(?:00|2[0d]|3[0-9])|ff1[0-9])|\xef\xbc[\x90-\x99]", re.IGNORECASE)
_AT: Final = re.compile(r"^(?P<expected>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")
_NOT_ONE: Final = re.compile(r"Invalid enum value .*", re.DOTALL)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making: Final = Lock()


def read_body(raw: bytes, model: type[_T]) -> _T:
    """The body as `model`. Raises `ApiProblem`."""
    if len(raw) > MAX_BODY_BYTES:
        raise too_large()
    if _DISGUISED.search(raw) or any(
        looks_like_card(each.group().decode()) for each in _DIGITS.finditer(raw)
    ):
        _refuse_values(raw)
    decoder = _decoders.get(model)
    if decoder is None:
        # One at a time: two threads that work out one type for the first time at once bring the process down.
        with _making:
            decoder = _decoders[model] = msgspec.json.Decoder(model, strict=True)
    try:
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            # Where the type is wrong, nothing after that was read: it may not be JSON at all.
            raise refused(_field_error(str(error), raw, model)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiProblem(
            400,
            "body_unreadable",
            "The body is not JSON",
            "The body could not be read as JSON.",
            errors=(FieldError("", str(error)[:MAX_SHOWN], "a JSON object in UTF-8"),),
        ) from None
    except RecursionError:
        raise ApiProblem(
            400, "body_too_deep", "The body is nested too deeply", "Send flat objects as documented."
        ) from None


def too_large(most: int = MAX_BODY_BYTES) -> ApiProblem:
    """A body beyond what its endpoint takes."""
    return ApiProblem(
        413, "body_too_large", "The body is too large", f"A body may have at most {most} bytes."
    )


def refused(*errors: FieldError) -> ApiProblem:
    """A request whose fields are wrong."""
    first = errors[0]
    return ApiProblem(
        422,
        "request_invalid",
        "The request is not valid",
        f"{first.pointer or 'The body'} is {first.value}: expected {first.expected}.",
        errors=errors,
    )


def check_text(
    text: str, pointer: str, *, longest: int, where: str = "body", any_script: bool = False
) -> str:
    """A short name: printable ASCII of at most `longest` characters, or of `any_script`, and no card's number."""
    if _names_card(text):
        raise _card(FieldError(pointer, "a number withheld", "no payment card number", _CARD_WAY_OUT, where))
    if not 1 <= len(text) <= longest or not text.isprintable() or not (any_script or text.isascii()):
        kind = "printable" if any_script else "printable ASCII"
        raise refused(
            FieldError(pointer, text[:MAX_SHOWN] or "empty", f"1 to {longest} {kind} characters", in_=where)
        )
    return text


def looks_like_card(digits: str) -> bool:
    """Whether 13 to 19 digits, spaces and hyphens aside, pass the check that card numbers pass (Luhn).

    >>> looks_like_card("4111 1111 1111 1111"), looks_like_card("4111 1111 1111 1112")
    (True, False)
    """
    numbers = [int(letter) for letter in digits if letter.isdigit()]
    if not 13 <= len(numbers) <= 19 or not any(numbers):
        return False
    total = sum(numbers[-1::-2]) + sum(sum(divmod(2 * number, 10)) for number in numbers[-2::-2])
    return total % 10 == 0


def without_cards(text: str) -> str:
    """The text with what could be a payment card's number struck out: for words of people, who cannot be asked again.

    >>> without_cards("my card is 4111 1111 1111 1111, thanks")
    'my card is [card number removed], thanks'
    """
    plain = text.translate(_WIDE_DIGITS)
    parts, last = [], 0
    for found in _DIGITS_TEXT.finditer(plain):
        if looks_like_card(found.group()):
            parts += [text[last : found.start()], "[card number removed]"]
            last = found.end()
    return "".join((*parts, text[last:]))


_CARD_WAY_OUT: Final = (
    "cards are entered at the funder, never here; if it is another number, put a letter in front of it"
)


def _card(*errors: FieldError) -> ApiProblem:
    return ApiProblem(
        422,
        "card_number",
        "Card numbers are not taken",
        "The request holds what could be a payment card's number. It was not read any further, stored or logged.",
        errors=errors,
    )


def _refuse_values(raw: bytes) -> None:
    """Refuse if the digits stand where a card's number could: an amount of money is not one, however it ends.

    Text with U+0000 is refused too, before it comes where it cannot be stored.
    """
    try:
        decoded = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = {"": raw.decode(errors="replace")}
    leaves = list(_leaves(decoded, ""))
    pointers = [pointer for pointer, value in leaves if _holds_card(pointer, value)]
    if pointers:
        raise _card(
            *(
                FieldError(pointer, "a number withheld", "no payment card number", _CARD_WAY_OUT)
                for pointer in pointers[:10]
            )
        )
    for pointer, value in leaves:
        if isinstance(value, str) and "\x00" in value:
            raise refused(FieldError(pointer, "text with U+0000", "text without control characters"))


def _holds_card(pointer: str, value: object) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        return not pointer.endswith("_minor") and looks_like_card(str(abs(int(value))))
    return _names_card(str(value))


def _names_card(text: str) -> bool:
    plain = text if text.isascii() else text.translate(_WIDE_DIGITS)
    return any(looks_like_card(found.group()) for found in _DIGITS_TEXT.finditer(plain))


def _leaves(value: object, pointer: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if _holds_card("", str(name)):
                # The name itself is the number: point at what holds it.
                yield pointer, str(name)
                continue
            yield from _leaves(item, f"{pointer}/{_escaped(str(name))}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{pointer}/{number}")
    else:
        yield pointer, value


def _field_error(message: str, raw: bytes, model: Any) -> FieldError:
    """msgspec says ``Expected `int`, got `float` - at `$.lines[0].quantity` ``: turn that into pointer and value."""
    found = _AT.match(message)
    assert found is not None, "the pattern matches every text"
    steps = [name or number for name, number in _STEP.findall(found["path"] or "")]
    said = found["expected"]
    missing, unknown = _MISSING.fullmatch(said), _UNKNOWN.fullmatch(said)
    if missing:
        return FieldError(_pointer([*steps, missing[1]]), "missing", "a value")
    if unknown:
        return FieldError(
            _pointer([*steps, unknown[1]]), "an unknown field", "only the fields documented", "leave it out"
        )
    value = _value_at(raw, steps)
    if steps and steps[-1].endswith("_minor"):
        return FieldError(
            _pointer(steps), value, "a whole number of minor units", "write ¥12.34 as the integer 1234"
        )
    if _NOT_ONE.fullmatch(said):
        return FieldError(_pointer(steps), value, _one_of(msgspec.inspect.type_info(model), steps))
    expected = said.split(", got ")[0].replace("`", "").removeprefix("Expected ")
    return FieldError(_pointer(steps), value, expected)


def _one_of(model: msgspec.inspect.Type, steps: list[str]) -> str:
    """The words that may stand at a place."""
    return "one of " + ", ".join(str(word) for word in _words_at(model, steps) if word != "")


def _words_at(model: msgspec.inspect.Type, steps: list[str]) -> Iterator[object]:
    if isinstance(model, msgspec.inspect.UnionType):
        for each in model.types:
            yield from _words_at(each, steps)
    elif isinstance(model, msgspec.inspect.LiteralType) and not steps:
        yield from model.values
    elif isinstance(model, msgspec.inspect.StructType) and steps:
        for field in model.fields:
            if field.encode_name == steps[0]:
                yield from _words_at(field.type, steps[1:])
    elif isinstance(model, msgspec.inspect.ListType | msgspec.inspect.VarTupleType) and steps:
        yield from _words_at(model.item_type, steps[1:])
    elif isinstance(model, msgspec.inspect.DictType) and steps:
        yield from _words_at(model.value_type, steps[1:])


def _value_at(raw: bytes, steps: list[str]) -> str:
    try:
        value = msgspec.json.decode(raw)
    except RecursionError:
        return "nested too deeply to be shown"
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return "unknown"
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown[:MAX_SHOWN] + ("…" if len(shown) > MAX_SHOWN else "") or "empty"


def _pointer(steps: list[str]) -> str:
    return "".join(f"/{_escaped(step)}" for step in steps)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
