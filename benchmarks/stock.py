"""Fill the database of a measurement, as a process of its own: a shop, its policy, customers, a key. Prints the key."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import django

from benchmarks.engine import POLICY_FOLDER
from benchmarks.load import CUSTOMERS

# The policy's dates, and what they are to the instant of the measurement.
_DATES = {
    "2026-11-23T22:00": timedelta(minutes=-10),
    "2026-11-24T02:00": timedelta(hours=4),
    "2026-11-10T00:00": timedelta(days=-10),
    "2026-11-15T00:00": timedelta(days=-5),
    "2026-12-01T00:00": timedelta(days=8),
    "2026-01-01": timedelta(days=-300),
    "2027-06-30": timedelta(days=300),
}
# Daily rests would make the result depend on the hour; each is moved to the other half of the day.
_RESTS = ("23:30", "00:30", "03:00", "03:30", "02:00", "06:00", "04:00", "04:15")


def files_at(now: datetime) -> dict[str, str]:
    """The policy's files with its dates around `now` (in the shop's zone)."""
    files: dict[str, str] = {}
    for path in sorted(POLICY_FOLDER.glob("*.yaml")):
        text = path.read_text()
        for written, distance in _DATES.items():
            then = now + distance
            text = text.replace(
                written, then.strftime("%Y-%m-%dT%H:%M") if "T" in written else then.strftime("%Y-%m-%d")
            )
        if now.hour < 12:
            for rest in _RESTS:
                hour, minute = rest.split(":")
                text = text.replace(f'"{rest}"', f'"{(int(hour) + 12) % 24:02d}:{minute}"')
        files[path.name] = text
    return files


def main() -> None:
    """Fill it, and print what the load needs."""
    django.setup()

    from fenqi.calendars import zone_of
    from fenqi.policy.document import read_policy
    from fenqi_server import clock
    from fenqi_server.customers import service as customers
    from fenqi_server.funders import consents
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops

    at = clock.now()
    shop = shops.create_shop("bench", name_zh_cn="基准商城", name_en="Bench Mall", at=at)
    loaded = read_policy(files_at(at.astimezone(zone_of(shop.time_zone))))
    if loaded.snapshot is None:
        raise SystemExit("\n".join(map(str, loaded.problems)))
    policies.publish(shop, loaded.snapshot, at, "benchmarks", valid_from=at - timedelta(days=1))
    for number in range(CUSTOMERS):
        customer = customers.ensure(shop, f"bench-{number}", at, limit_minor=2_000_000)
        consents.record(shop, customer, "lender", at, purpose="prequal", version="1")
    print(json.dumps({"key": shops.create_key(shop, "benchmark", at=at)}))


if __name__ == "__main__":
    main()
