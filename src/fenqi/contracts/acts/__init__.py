"""Acts: what each kind of event does to the running account of a contract (`fenqi.contracts.account`).

An act that cannot follow the state is refused by name. Amounts are only held against the state by the event that was learnt last:
money that came earlier and is told later may leave less to waive or to return than there was, and is never refused for it.
"""
