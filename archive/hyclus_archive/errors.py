"""Errors that a user can act on. The command line prints them in one line and ends with status 1."""


class ArchiveError(Exception):
    """Something failed. The message says what to do."""


class Damaged(ArchiveError):
    """Objects of a scan are not what its scan.json says. The scan is not taken.

    faults: one sentence for each, with the object's key.
    """

    def __init__(self, rig: str, scan: str, faults: list[str]) -> None:
        self.rig = rig
        self.scan = scan
        self.faults = faults
        more = "" if len(faults) == 1 else f" (and {len(faults) - 1} more)"
        super().__init__(f"scan {scan} of rig {rig} is damaged: {faults[0]}{more}")


class Unreachable(ArchiveError):
    """The storage refused or did not answer. Trying again later may help."""


class Conflict(ArchiveError):
    """Another writer committed again and again in between, or the storage did not answer."""
