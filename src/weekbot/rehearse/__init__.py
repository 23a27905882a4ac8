"""`weekbot rehearse`: checks, in a test channel and without a ledger, that only the real Discord can confirm."""
