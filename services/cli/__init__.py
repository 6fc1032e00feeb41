"""The `serinus` command: thin words around the library, the ledger and the local supervisor."""
