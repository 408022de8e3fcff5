"""Everything that staff do to a contract."""

from __future__ import annotations

from typing import Final

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from fenqi.contracts.contract import ContractState
from fenqi_server.console.access import Staff
from fenqi_server.servicing.staff_acts.act import StaffAct
from fenqi_server.servicing.staff_acts.calls import CALLS
from fenqi_server.servicing.staff_acts.goods import GOODS
from fenqi_server.servicing.staff_acts.losses import LOSSES
from fenqi_server.servicing.staff_acts.money import MONEY
from fenqi_server.servicing.staff_acts.relief import RELIEF
from fenqi_server.servicing.staff_acts.rentals import RENTALS

__all__ = ["ACTS", "ActGroup", "ActLink", "groups_for"]

ACTS: Final[tuple[StaffAct, ...]] = (*CALLS, *MONEY, *RELIEF, *GOODS, *RENTALS, *LOSSES)


class ActLink(msgspec.Struct, frozen=True):
    label: str
    url: str


class ActGroup(msgspec.Struct, frozen=True):
    label: str
    links: tuple[ActLink, ...]


_GROUPS: Final = {
    "calls": gettext_noop("For a caller"),
    "money": gettext_noop("Money"),
    "help": gettext_noop("Help"),
    "goods": gettext_noop("Goods"),
    "loss": gettext_noop("Not paid"),
}


def groups_for(staff: Staff, contract_id: str, state: ContractState) -> tuple[ActGroup, ...]:
    """What this person may do to a contract in this state."""
    groups = []
    for group, label in _GROUPS.items():
        links = tuple(
            ActLink(gettext(each.title), reverse(f"console:contract_{each.name}", args=[contract_id]))
            for each in ACTS
            if each.group == group and staff.may(*each.roles) and each.fits(state)
        )
        if links:
            groups.append(ActGroup(gettext(label), links))
    return tuple(groups)
