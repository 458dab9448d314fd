"""One archive of the scans of many hyclus rigs, as Delta tables on object storage or in a folder."""

__version__ = "0.2.0"
