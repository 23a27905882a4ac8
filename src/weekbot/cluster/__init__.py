"""Several processes on one database: leader election, fencing, the process lock."""
