"""One answer for one cart: how it can be paid, what each way costs, what is missing and what to use instead."""
