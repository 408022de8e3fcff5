"""What staff do to a contract, as data, by subject; `table.ACTS` is everything there is."""
