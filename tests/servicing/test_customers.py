"""A customer is a key that means nothing; who it is can be forgotten, and what it owes stays."""

from __future__ import annotations

import pytest
from django.db import connections, transaction
from tests.servicing.opened import AT, TODAY, make_customer, make_shop, open_one
from tests.servicing.test_concurrency import at_once

from fenqi_server.customers import service as customers
from fenqi_server.ids import house_party
from fenqi_server.servicing import service
from fenqi_server.shops.models import Shop


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def test_the_same_name_is_the_same_customer_and_another_shop_s_is_not(shop: Shop) -> None:
    first = customers.ensure(shop, "c-1", AT)
    assert customers.ensure(shop, "c-1", AT) == first == customers.find(shop, "c-1")
    assert customers.find(shop, "c-2") is None
    assert customers.ensure(make_shop("other"), "c-1", AT) != first


def test_an_alias_finds_the_same_customer_and_takes_nobody_s_name(shop: Shop) -> None:
    one, two = customers.ensure(shop, "c-1", AT), customers.ensure(shop, "c-2", AT)
    assert customers.add_alias(shop, one, "old-1", AT)
    assert customers.find(shop, "old-1") == one
    assert not customers.add_alias(shop, one, "c-2", AT)
    assert customers.find(shop, "c-2") == two


def test_a_limit_is_set_and_taken_away(shop: Shop) -> None:
    customer = make_customer(shop, limit_minor=500_000)
    assert service.standing(shop, customer, TODAY).available_minor == 500_000
    customers.set_limit(shop, customer, 0)
    assert service.standing(shop, customer, TODAY).available_minor == 0
    customers.set_limit(shop, customer, None)
    assert service.standing(shop, customer, TODAY).available_minor is None
    with pytest.raises(customers.NoCustomer):
        customers.set_limit(make_shop("other"), customer, 1)


def test_a_limit_below_what_is_lent_leaves_nothing_and_not_less(shop: Shop) -> None:
    customer = make_customer(shop, limit_minor=100_000)
    open_one(shop, customer)
    assert service.standing(shop, customer, TODAY).available_minor == 0


def test_forgetting_a_person_leaves_contract_and_book(shop: Shop) -> None:
    customer = make_customer(shop)
    contract = open_one(shop, customer)
    customers.set_private(shop, customer, customers.Private("Wang Fang", "wf@mall.example", ""), AT)
    customers.set_private(shop, customer, customers.Private("Wang Fang", "wang@mall.example", ""), AT)
    assert customers.private(shop, customer).email == "wang@mall.example"
    assert customers.erase_private(shop, customer)
    assert not customers.erase_private(shop, customer)
    assert customers.private(shop, customer) == customers.Private()
    assert service.get(shop, contract, TODAY).state.balance_minor == 643_200


def test_a_lock_names_its_customer_and_only_the_shop_s_own(shop: Shop) -> None:
    customer = make_customer(shop, limit_minor=7)
    with transaction.atomic():
        assert customers.lock(shop, customer) == customers.Customer(customer, shop.id, "person", 7)
        with pytest.raises(customers.NoCustomer):
            customers.lock(make_shop("other"), customer)


def test_a_house_party_is_one_and_has_no_limit(shop: Shop) -> None:
    party = customers.house(shop, "suspense", AT)
    assert customers.house(shop, "suspense", AT) == party == house_party(shop.id, "suspense")
    with pytest.raises(customers.NoCustomer):
        customers.set_limit(shop, party, 1)


def test_many_who_bring_one_new_name_at_once_are_one_customer(committed_db: object) -> None:
    shop = make_shop()
    assert len(set(at_once([lambda: customers.ensure(shop, "c-1", AT)] * 16))) == 1
    connections.close_all()
