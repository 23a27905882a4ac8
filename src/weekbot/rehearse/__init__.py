"""`weekbot rehearse`: in a test channel, what only the real Discord can confirm, once each, without a ledger."""
