"""What can stop the database from starting: each says what is wrong and the way out."""


class EmbeddedError(Exception):
    """The database cannot be started, adopted or reached as asked."""


class OtherMajor(EmbeddedError):
    """The data folder belongs to another PostgreSQL major than the binaries."""

    def __init__(self, data_dir: object, data_major: int, binaries_major: int) -> None:
        super().__init__(
            f"The data in {data_dir} is PostgreSQL {data_major}'s, the binaries here are {binaries_major}'s; "
            f"starting one on the other would damage it. Run `fenqi upgrade`: it copies the data into a new "
            f"folder and keeps the old one."
        )
        self.data_major = data_major
        self.binaries_major = binaries_major
